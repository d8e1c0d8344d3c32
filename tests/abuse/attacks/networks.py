"""A /56 or /48 of IPv6 addresses, which one customer of a provider may have.

The networks are those that a trusted proxy on loopback names, so that no IPv6 is needed.
"""

import time

from client import connect, latencies, median, raise_own_limit, request
from relay import Relay
from server import Server

V1 = "/_matrix/identity/api/v1"
SEND = f"{V1}/validate/email/requestToken"
PROXY = {"http.trusted_proxies": '["127.0.0.0/8"]'}


def head(path, client, length):
    lines = [
        f"POST {path} HTTP/1.1",
        "Host: id.example.org",
        f"X-Forwarded-For: {client}",
        "Content-Type: application/json",
        f"Content-Length: {length}",
    ]
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


def attack(table):
    raise_own_limit()
    half_bodies(table)
    waiting(table)


def half_bodies(table):
    """40 networks of a /56 send most of 32 KiB, 32 times each."""
    with Server(PROXY) as server:
        wires = []
        for number in range(40 * 32):
            client = f"2001:db8:0:{number % 40:x}::1"
            sent = head(f"{V1}/3pid/bind", client, 32_768) + b" " * 32_700
            wires.append(connect(server.client, "127.0.0.1", sent))
        time.sleep(1)
        statuses = []
        for number in range(6):
            headers = {"X-Forwarded-For": f"198.51.100.{number + 1}"}
            body = {"sid": "1", "client_secret": "a", "mxid": "@a:example.org"}
            answer = request(server.client, "POST", f"{V1}/3pid/bind", body, headers=headers)
            statuses.append(answer[0])
        name = "40 networks of a /56 hold bodies of 32 KiB: others"
        table.row(name, statuses, "none 503 or 0", not {0, 503} & set(statuses))
        for wire in filter(None, wires):
            wire.close()


def waiting(table):
    """60 networks with 64 requests each, half of which wait for the others."""
    with Relay(delay=4) as relay:
        settings = relay.settings() | PROXY
        settings["limits.email_per_client.burst"] = "0"
        with Server(settings) as server:
            quiet, _ = latencies(server.client, 100)
            wires = []
            for number in range(60 * 64):
                client = f"198.51.{number % 60}.1"
                body = f'{{"client_secret": "s{number}", "email": "a{number}@example.org", "send_attempt": 1}}'
                sent = head(SEND, client, len(body)) + body.encode()
                wires.append(connect(server.client, "127.0.0.1", sent))
            # Until those that have their turn are with the relay.
            time.sleep(2)
            times, failed = latencies(server.client, 100, source="127.0.0.3")
            name = "3,840 requests of 60 networks wait: honest"
            measured = f"{median(quiet)} -> {median(times)} ms, {failed} failed"
            ok = failed == 0 and median(times) < max(2 * median(quiet), 5)
            table.row(name, measured, "within twice, or 5 ms", ok)
            for wire in filter(None, wires):
                wire.close()

