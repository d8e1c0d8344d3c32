"""Harvesting: how many addresses an attacker learns, and whether a user can look up all contacts.

The attacker has one client network, one domain with any number of homeservers and accounts, and asks
for hashes of phone numbers; and then for addresses in plain text without an account.
"""

import base64
import hashlib
import time

from client import request
from homeserver import Homeserver
from server import Server

V1 = "/_matrix/identity/api/v1"
V2 = "/_matrix/identity/v2"
DAY_MS = 24 * 60 * 60 * 1000
MOST = 50_000
ENTRIES = 10_000
SECONDS = 15


class Lookups:
    """The lookups of v2 by some accounts in turn."""

    def __init__(self, server, tokens, source):
        self.server, self.tokens, self.source = server, tokens, source
        _, details = request(
            server.client, "GET", f"{V2}/hash_details", token=tokens[0], source=source
        )
        self.pepper = details["lookup_pepper"]

    def look_up(self, first, count, turn=0):
        texts = (f"447{number:09} msisdn {self.pepper}" for number in range(first, first + count))
        hashes = [hashlib.sha256(text.encode()).digest() for text in texts]
        addresses = [base64.urlsafe_b64encode(value).decode().rstrip("=") for value in hashes]
        body = {"algorithm": "sha256", "pepper": self.pepper, "addresses": addresses}
        token = self.tokens[turn % len(self.tokens)]
        path = f"{V2}/lookup"
        return request(
            self.server.client, "POST", path, body, token=token, source=self.source, timeout=60
        )


def look_up_v1(server, first, count, _turn=0):
    threepids = [["msisdn", f"447{number:09}"] for number in range(first, first + count)]
    body = {"threepids": threepids}
    return request(server.client, "POST", f"{V1}/bulk_lookup", body, timeout=60)


def harvest(look_up):
    """The addresses looked up at once, and what a day adds at the pace of the refusals."""
    found, size, turn, waits, started = 0, ENTRIES, 0, [], time.monotonic()
    while time.monotonic() < started + SECONDS and len(waits) < 100:
        turn += 1
        status, answer = look_up(found, size, turn)
        wait_ms = answer.get("retry_after_ms", 0)
        if status == 200:
            found += size
        elif size > 1 and wait_ms < 1500:
            # The limit of the load: it is free again soon.
            time.sleep(wait_ms / 1000)
        elif size > 1:
            size //= 10
        else:
            # The longest is what one more address takes once there is none left.
            waits.append(wait_ms)
            time.sleep(0.05)
    if waits:
        return found, DAY_MS // max(waits)
    return found, int(found / (time.monotonic() - started)) * DAY_MS // 1000 - found


def attack(table):
    names = ["evil.example", "a.evil.example", "b.evil.example", "honest.example"]
    with Homeserver(*names) as homeserver, Server(homeserver=homeserver) as server:
        honest = homeserver.account(server, "alice", "honest.example", source="127.0.0.9")
        tokens = [
            homeserver.account(server, f"u{number}", names[number % 3]) for number in range(20)
        ]
        lookups = Lookups(server, tokens, "127.0.0.1")
        total = measure(table, "20 accounts of one domain", lookups.look_up)
        measure(table, "then v1 as well", lambda *call: look_up_v1(server, *call), total)
        contacts = Lookups(server, [honest], "127.0.0.9")
        statuses = [contacts.look_up(500_000_000, 5000)[0] for _ in range(3)]
        table.row("5,000 contacts, three times", statuses, "200", set(statuses) == {200})
    with Server() as server:
        measure(table, "v1 without account", lambda *call: look_up_v1(server, *call))


def measure(table, name, look_up, found_before=0):
    """Reports what an attacker finds, and returns what it has found by then."""
    started = time.monotonic()
    found, in_a_day = harvest(look_up)
    total = found_before + found
    right = f"at most {MOST}"
    took = time.monotonic() - started
    table.row(f"{name}: addresses in {took:.0f} s", total, right, total <= MOST)
    table.row(f"{name}: addresses in a day", total + in_a_day, right, total + in_a_day <= MOST)
    return total
