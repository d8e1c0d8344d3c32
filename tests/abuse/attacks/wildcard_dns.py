"""Registrations with homeservers that never answer, all names of one domain and one address."""

import socket
import threading
import time

from client import request
from homeserver import REGISTER
from server import Server

ATTACKERS = 120


def attack(table):
    # They accept, and say nothing.
    silent = [socket.create_server(("127.0.0.1", 0), backlog=512)]
    port = silent[0].getsockname()[1]
    for number in range(1, ATTACKERS):
        silent.append(socket.create_server((f"127.0.{number}.1", port)))
    settings = {
        "federation.allow_ranges": '["127.0.0.0/8"]',
        "limits.register_per_client.burst": "0",
        "limits.register_per_client_and_homeserver.burst": "0",
        "limits.register_per_homeserver.burst": "0",
    }
    for label, name, source in [
        ("one client, many addresses", "127.0.{}.1", "127.0.0.1"),
        ("many clients, one address", "127.0.0.1", None),
    ]:
        with Server(settings) as server:
            measure(table, server, label, f"{name}:{port}", source)
    for one in silent:
        one.close()


def register(server, name, source, timeout):
    body = {"access_token": "t", "expires_in": 1, "matrix_server_name": name, "token_type": "Bearer"}
    return request(server.client, "POST", REGISTER, body, source=source, timeout=timeout)[0]


def measure(table, server, label, name, source):
    def hold(number):
        register(server, name.format(number), source or f"127.0.1.{number + 1}", 12)

    threads = [threading.Thread(target=hold, args=(n,), daemon=True) for n in range(ATTACKERS)]
    for thread in threads:
        thread.start()
    time.sleep(2)
    started = time.monotonic()
    # Nothing listens there: a call that is made ends at once with 504, one that is not with 503.
    statuses = [register(server, f"127.9.9.{n + 1}:1", f"127.0.2.{n + 1}", 5) for n in range(10)]
    made = sum(status == 504 for status in statuses)
    took = f"{made} of 10 in {time.monotonic() - started:.1f} s"
    table.row(f"{ATTACKERS} silent homeservers, {label}: others", took, "10 of 10", made == 10)
    for thread in threads:
        thread.join()
