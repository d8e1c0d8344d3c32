"""Connections that keep a descriptor without asking for anything.

Four kinds: silent, half a second request, a head that trickles, and a client that never reads. While
they are held, honest clients get their responses as fast as before.
"""

import threading
import time

from client import connect, descriptors, is_open, latencies, median, raise_own_limit, request
from server import Server

OPEN_FILES = 1024
PING = b"GET /_matrix/identity/v2 HTTP/1.1\r\nHost: id.example.org\r\n\r\n"
METRICS = "/metrics"
# A server that is taken down by the first connections answers none of the others.
OPEN_WITHIN = 20


def silent(server, source):
    return connect(server.client, source)


def half_a_head(server, source):
    wire = connect(server.client, source, PING)
    try:
        if wire and wire.recv(4096):
            wire.sendall(b"G")
        return wire
    except OSError:
        return None


def never_reading(server, source):
    # Responses that nobody takes fill the buffers; then the server can write no more.
    wire = connect(server.client, source, receive_buffer=4096)
    if wire:
        wire.setblocking(False)
        for _ in range(200):
            try:
                wire.send(PING * 500)
            except OSError:
                break
    return wire


def trickle(wires, stop):
    while not stop.wait(1):
        for wire in wires:
            try:
                wire.send(b"x")
            except OSError:
                pass


def attack(table):
    raise_own_limit()
    kinds = [
        ("silent", silent, 2000),
        ("half a head after a response", half_a_head, 970),
        ("trickling", silent, 200),
        ("never reading", never_reading, 200),
    ]
    for sources in (["127.0.0.1"], [f"127.0.0.{10 + n}" for n in range(40)]):
        for name, open_one, count in kinds:
            with Server(open_files=OPEN_FILES, max_open_files=OPEN_FILES) as server:
                measure(table, server, name, open_one, count, sources)


def measure(table, server, name, open_one, count, sources):
    label = f"{count} {name}, {len(sources)} clients"
    quiet, _ = latencies(server.client)
    wires, stop = [], threading.Event()
    end = time.monotonic() + OPEN_WITHIN
    for number in range(count):
        if time.monotonic() > end:
            break
        wire = open_one(server, sources[number % len(sources)])
        if wire:
            wires.append(wire)
    if name == "trickling":
        threading.Thread(target=trickle, args=(wires, stop), daemon=True).start()
    time.sleep(0.5)
    busy, failed = latencies(server.client)
    table.row(f"{label}: honest requests failed", failed, "0", failed == 0)
    # Below half a millisecond, the clock of a shared machine decides.
    limit = max(2 * median(quiet), median(quiet) + 0.5)
    slow = f"{median(quiet)} -> {median(busy)} ms"
    table.row(f"{label}: honest latency", slow, "at most twice", median(busy) <= limit)
    others = [
        request(server.internal, "GET", "/_matrix/identity/internal/lookup")[0],
        request(server.operations, "GET", METRICS)[0],
    ]
    table.row(f"{label}: internal, operations", others, "both answer", all(others))
    used = descriptors(server.pid)
    table.row(f"{label}: descriptors", used, f"below {OPEN_FILES - 64}", used < OPEN_FILES - 64)
    stop.set()
    for wire in wires:
        wire.close()
