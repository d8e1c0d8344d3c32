"""1,100 copies of one requestToken that wait for one mail, while others ask for codes and unbind."""

import json
import threading
import time

from client import connect, raise_own_limit, request
from relay import Relay
from server import Server

from attacks.refused_mail import PATH, mail_settings

UNBIND = "/_matrix/identity/api/v1/3pid/unbind"
COPIES = 1100


def copy():
    body = {"client_secret": "secret", "email": "a@victim.example", "send_attempt": 1}
    text = json.dumps(body)
    head = (
        f"POST {PATH} HTTP/1.1\r\nHost: id.example.org\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(text)}\r\nConnection: close\r\n\r\n"
    )
    return (head + text).encode()


def attack(table):
    raise_own_limit()
    with Relay(delay=4) as relay:
        settings = {**mail_settings(relay), "http.workers": "2"}
        with Server(settings, open_files=4096) as server:
            measure(table, server)


def measure(table, server):
    wires = [connect(server.client, send=copy()) for _ in range(COPIES)]
    time.sleep(1)
    results = {}

    def code():
        body = {"client_secret": "other", "email": "b@honest.example", "send_attempt": 1}
        results["code"], _ = request(server.client, "POST", PATH, body, source="127.0.0.2")

    def unbind():
        # A session that does not exist is refused, but not for want of room.
        body = {
            "mxid": "@a:hs.example",
            "threepid": {"medium": "email", "address": "a@honest.example"},
            "sid": "unknown",
            "client_secret": "secret",
        }
        results["unbind"], _ = request(server.client, "POST", UNBIND, body, source="127.0.0.3")

    threads = [threading.Thread(target=honest) for honest in (code, unbind)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    statuses = [status(wire) for wire in wires if wire]
    label = f"{COPIES} copies that wait"
    waited = statuses.count("200")
    table.row(f"{label}: copies that got their sid", waited, "1 to 8", 1 <= waited <= 8)
    table.row(f"{label}: another client's code", results["code"], "200", results["code"] == 200)
    is_served = 400 <= results["unbind"] < 500
    table.row(f"{label}: another client's unbind", results["unbind"], "not 503", is_served)


def status(wire):
    wire.settimeout(15)
    try:
        return wire.recv(64).split(b" ")[1].decode()
    except (OSError, IndexError):
        return "none"
    finally:
        wire.close()
