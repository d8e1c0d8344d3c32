"""Bodies that are small as bytes and large as trees of values, without an account."""

import threading
import time

from client import cpu_seconds, latencies, median, request, resident_mb
from server import Server

BULK_LOOKUP = "/_matrix/identity/api/v1/bulk_lookup"
BIND = "/_matrix/identity/api/v1/3pid/bind"
CLIENTS = 4
REQUESTS = 4


def attack(table):
    for path, length in [(BULK_LOOKUP, 7_500_000), (BIND, 32_000)]:
        for piece in (b'{"":0},', b"[0],", b'"",', b'[["",""]],'):
            with Server() as server:
                measure(table, server, path, piece, length)


def measure(table, server, path, piece, length):
    body = b'{"threepids":[' + piece * ((length - 20) // len(piece)) + b"0]}"
    headers = {"Content-Type": "application/json"}
    before, statuses = resident_mb(server.pid), []

    def send(number):
        source = f"127.0.0.{20 + number}"
        for _ in range(REQUESTS):
            answer = request(
                server.client, "POST", path, body, headers=headers, source=source, timeout=60
            )
            statuses.append(answer[0])

    started = cpu_seconds(server.pid)
    threads = [threading.Thread(target=send, args=(number,)) for number in range(CLIENTS)]
    for thread in threads:
        thread.start()
    times, failed = latencies(server.client, 20, source="127.0.0.200")
    for thread in threads:
        thread.join()
    time.sleep(0.2)
    after = resident_mb(server.pid)
    label = f"{len(body) >> 10} KiB of {piece.decode()} to {path.split('/')[-1]}"
    each = (cpu_seconds(server.pid) - started) * 1000 / (CLIENTS * REQUESTS)
    grown = f"{before:.0f} -> {after:.0f} MB"
    table.row(f"{label}: memory", grown, "at most 150 MB", after <= 150)
    table.row(f"{label}: CPU of a request", f"{each:.0f} ms", "below 100 ms", each < 100)
    refused = set(statuses) <= {400, 429}
    table.row(f"{label}: answers", sorted(set(statuses)), "400 or 429", refused)
    latency = f"{median(times)} ms, {failed} failed"
    table.row(f"{label}: honest", latency, "below 100 ms, 0", failed == 0 and median(times) < 100)
