"""1,300 connections of one client that keep requests in work, beside the requests of others."""

import threading
import time

from client import connect, raise_own_limit, request
from relay import Relay
from server import Server

CONNECTIONS = 1300
OTHERS = 24
V1 = "/_matrix/identity/api/v1"


def request_token(number):
    body = f'{{"client_secret": "s{number}", "email": "a{number}@example.org", "send_attempt": 1}}'
    head = f"POST {V1}/validate/email/requestToken HTTP/1.1\r\nHost: id.example.org\r\n"
    head += f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    return (head + body).encode()


def attack(table):
    raise_own_limit()
    with Relay(delay=4) as relay:
        settings = relay.settings()
        # Only the share of the client is to hold it back.
        settings["limits.email_per_client.burst"] = "0"
        for proxied in (False, True):
            if proxied:
                settings["http.trusted_proxies"] = '["127.0.0.0/8"]'
            with Server(settings) as server:
                measure(table, server, "behind a proxy" if proxied else "direct", proxied)


def measure(table, server, label, proxied):
    wires = []
    for number in range(CONNECTIONS):
        sent = request_token(number)
        if proxied:
            sent = sent.replace(b"\r\n\r\n", b"\r\nX-Forwarded-For: 192.0.2.1\r\n\r\n", 1)
        wire = connect(server.client, "127.0.0.1", sent)
        if wire:
            wires.append(wire)
    answers = [0] * OTHERS

    def ask(number):
        headers = {"X-Forwarded-For": f"198.51.100.{number + 1}"} if proxied else {}
        body = {"client_secret": "o", "email": f"o{number}@example.org", "send_attempt": 1}
        path = f"{V1}/validate/email/requestToken"
        source = f"127.0.0.{10 + number}"
        answers[number], _ = request(
            server.client, "POST", path, body, headers=headers, source=source, timeout=20
        )

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(OTHERS)]
    started = time.monotonic()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    good = sum(status == 200 for status in answers)
    took = time.monotonic() - started
    right = f"{OTHERS} of {OTHERS}"
    name = f"{CONNECTIONS} connections of one client, {label}: others answered"
    table.row(name, f"{good} of {OTHERS} in {took:.1f} s", right, good == OTHERS)
    for wire in wires:
        wire.close()
