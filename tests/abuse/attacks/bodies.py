"""Bodies that strangers make the server keep: 800 connections, each with most of 512 KiB."""

import time

from client import connect, latencies, median, raise_own_limit, resident_mb
from server import Server

CONNECTIONS = 800
SENT = 512 * 1024 - 100
LOOKUP_V2 = "/_matrix/identity/v2/lookup"
BIND_V1 = "/_matrix/identity/api/v1/3pid/bind"
BULK_LOOKUP_V1 = "/_matrix/identity/api/v1/bulk_lookup"


def head(path, length):
    lines = [
        f"POST {path} HTTP/1.1",
        "Host: id.example.org",
        "Content-Type: application/json",
        f"Content-Length: {length}",
    ]
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


def attack(table):
    raise_own_limit()
    one = ["127.0.0.1"]
    many = [f"127.0.0.{10 + n}" for n in range(40)]
    for path, length, sources in [
        (LOOKUP_V2, 512 * 1024, one),
        (BIND_V1, 512 * 1024, one),
        (BIND_V1, 32 * 1024, many),
        (BULK_LOOKUP_V1, 512 * 1024, one),
        (BULK_LOOKUP_V1, 512 * 1024, many),
    ]:
        with Server() as server:
            flood(table, server, path, length, sources)


def flood(table, server, path, length, sources):
    label = f"{CONNECTIONS} x {length >> 10} KiB to {path.split('/')[-1]}, {len(sources)} clients"
    before = resident_mb(server.pid)
    wires, end = [], time.monotonic() + 60
    for number in range(CONNECTIONS):
        wire = connect(server.client, sources[number % len(sources)], head(path, length))
        if wire:
            # What the server does not read stays with the systems of both sides.
            wire.settimeout(0.2)
            try:
                wire.sendall(b" " * (length - 100))
            except OSError:
                pass
            wires.append(wire)
        if time.monotonic() > end:
            break
    time.sleep(1)
    after = resident_mb(server.pid)
    # The room for long look-ups is 64 MB, an eighth of it for each client; that for short bodies
    # 32 MB. A connection itself needs some 50 KB, and a body that grows as much again.
    limit = 250 if path == BULK_LOOKUP_V1 and len(sources) > 1 else 160
    grown = f"{before:.0f} -> {after:.0f} MB"
    table.row(f"{label}: memory", grown, f"at most {limit} MB", after <= limit)
    times, failed = latencies(server.client, 20, source="127.0.0.200")
    table.row(f"{label}: honest failed", failed, "0", failed == 0)
    for wire in wires:
        wire.close()
    table.row(f"{label}: honest latency", f"{median(times)} ms", "below 50 ms", median(times) < 50)
