"""Connections, requests and measurements of an attacker and of honest clients."""

import http.client
import json
import pathlib
import resource
import socket
import statistics
import time

PING = "/_matrix/identity/v2"


def raise_own_limit():
    """As many descriptors for the attacker as the system allows; returns their number."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return hard


def connect(address, source="127.0.0.1", send=b"", receive_buffer=None):
    """A raw connection from a loopback address; None if there is none within 5 s."""
    wire = socket.socket()
    try:
        if receive_buffer:
            wire.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        wire.settimeout(5)
        wire.bind((source, 0))
        wire.connect(address)
        if send:
            wire.sendall(send)
        return wire
    except OSError:
        wire.close()
        return None


def is_open(wire):
    """Whether the server has not closed a connection; reads what it sent."""
    wire.setblocking(False)
    try:
        while True:
            if not wire.recv(65536):
                return False
    except BlockingIOError:
        return True
    except OSError:
        return False


def request(address, method, path, body=None, token=None, headers=None, source="127.0.0.1", timeout=10):
    """Sends a request on a connection of its own. Returns the status and the JSON of the response.

    The status is 0 if there is no response within the timeout.
    """
    connection = http.client.HTTPConnection(*address, timeout=timeout, source_address=(source, 0))
    headers = dict(headers or {})
    if token:
        headers["Authorization"] = f"Bearer {token}"
    if body is not None and not isinstance(body, bytes):
        body = json.dumps(body).encode()
        headers.setdefault("Content-Type", "application/json")
    try:
        connection.request(method, path, body, headers)
        response = connection.getresponse()
        text = response.read()
    except OSError:
        return 0, {}
    except http.client.HTTPException:
        return 0, {}
    finally:
        connection.close()
    try:
        return response.status, json.loads(text)
    except ValueError:
        return response.status, {}


def latencies(address, count=40, path=PING, source="127.0.0.2"):
    """Milliseconds of `count` requests, each on a new connection, and the number that failed."""
    times, failed = [], 0
    for _ in range(count):
        started = time.perf_counter()
        status, _ = request(address, "GET", path, source=source)
        times.append((time.perf_counter() - started) * 1000)
        failed += status != 200
    return times, failed


def median(times):
    """The median, rounded."""
    return round(statistics.median(times), 2)


def resident_mb(pid):
    """The resident memory of a process, in MB."""
    for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    return 0.0


def cpu_seconds(pid):
    """The CPU time of a process so far."""
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / 100


def descriptors(pid):
    """The number of descriptors that a process has open."""
    return len(list(pathlib.Path(f"/proc/{pid}/fd").iterdir()))
