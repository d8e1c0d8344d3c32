"""Whether look-ups and binds stand a rotation of the pepper that is killed on the way."""

import contextlib
import http.client
import itertools
import json
import os
import random
import signal
import subprocess
import threading
import time

from . import data
from .requests import V2
from .server import Server
from .stats import median
from .tools import free_port, say

LOOKUP_CLIENTS = 4
BIND_CLIENTS = 2
# Each look-up asks for so many addresses, all of them bound.
ADDRESSES = 10
# The command is killed after this time, and the server after as much again.
BEFORE_KILL = 2
LONGEST = 300
BIND = "/_matrix/identity/internal/bind"


class Client:
    """A client that keeps its connection, and opens another one when the server is started again."""

    def __init__(self, port, number):
        self.port, self.number, self.connection = port, number, None
        self.headers = {
            "authorization": f"Bearer {data.token(number)}",
            "content-type": "application/json",
            "x-forwarded-for": f"198.18.0.{number}",
        }

    def call(self, method, path, body=None):
        """Status and JSON; None while the server is down."""
        try:
            self.connection = self.connection or http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
            self.connection.request(method, path, body and json.dumps(body), self.headers)
            answer = self.connection.getresponse()
            return answer.status, json.loads(answer.read())
        except (OSError, http.client.HTTPException):
            self.connection = None
            time.sleep(0.02)
            return None


class Rotation:
    """Measures one rotation of a database of that size."""

    def __init__(self, programs, folder, size, url):
        internal = free_port()
        more = {"internal.listen": f'["127.0.0.1:{internal}"]'}
        self.programs, self.folder, self.size, self.internal = programs, folder, size, internal
        self.server = Server(programs.binary, folder, url, more=more)
        self.over = threading.Event()
        self.misses, self.lookups, self.binds, self.failures = [], [], [], []

    def measure(self):
        """Rotates; returns the figures."""
        threads = [
            threading.Thread(target=self._guarded, args=(task, number))
            for task, count in ((self._look_up, LOOKUP_CLIENTS), (self._bind, BIND_CLIENTS))
            for number in range(count)
        ]
        with contextlib.ExitStack() as stack:
            stack.enter_context(self.server)
            before = self._pepper(Client(self.server.port, 0))
            for thread in threads:
                thread.start()
            started = time.monotonic()
            try:
                self._start_and_kill(stack)
                self._wait(before, started)
                took = time.monotonic() - started
                # The former pepper is still answered.
                time.sleep(BEFORE_KILL)
            finally:
                self._end(threads)
        return self._figures(took)

    def _start_and_kill(self, stack):
        words = [self.programs.binary, "pepper", "rotate", "--config", "sydent.toml"]
        command = subprocess.Popen(words, cwd=self.folder, stdout=subprocess.DEVNULL)
        time.sleep(BEFORE_KILL)
        if command.poll() is not None:
            say("  the rotation ended before it could be killed")
        command.kill()
        command.wait()
        time.sleep(BEFORE_KILL)
        os.kill(self.server.child.pid, signal.SIGKILL)
        self.server.child.wait()
        stack.enter_context(self.server)

    def _wait(self, before, started):
        client = Client(self.server.port, 0)
        while self._pepper(client) == before:
            if time.monotonic() - started > LONGEST:
                raise SystemExit("the rotation does not end")
            time.sleep(0.1)

    def _end(self, threads):
        self.over.set()
        for thread in threads:
            thread.join()

    def _guarded(self, task, number):
        try:
            task(number)
        except Exception as error:
            self.failures.append(repr(error))
            raise

    def _pepper(self, client):
        while not self.over.is_set():
            answer = client.call("GET", f"{V2}/hash_details")
            if answer and answer[0] == 200:
                return answer[1]["lookup_pepper"]
        return None

    def _look_up(self, number):
        """As a client does: half of them go on with the pepper that they know, which must not be refused
        for ten minutes."""
        client, numbers = Client(self.server.port, number), random.Random(number)
        pepper = self._pepper(client)
        while not self.over.is_set():
            asked = {
                data.lookup_hash(data.address(it), pepper): data.user(it)
                for it in numbers.sample(range(self.size), ADDRESSES)
            }
            body = {"algorithm": "sha256", "pepper": pepper, "addresses": list(asked)}
            started = time.monotonic()
            answer = client.call("POST", f"{V2}/lookup", body)
            if not answer:
                continue
            status, content = answer
            if status != 200:
                self.failures.append(f"{status} {content.get('errcode')}")
            else:
                self.lookups.append((time.monotonic() - started) * 1000)
                self.misses += [it for it in asked if content["mappings"].get(it) != asked[it]]
                pepper = pepper if number % 2 else self._pepper(client)

    def _bind(self, number):
        client = Client(self.internal, number)
        for count in itertools.count():
            if self.over.is_set():
                return
            address = f"rotation{number}.{count}@example.com"
            body = {"medium": "email", "address": address, "mxid": "@new:example.org"}
            started = time.monotonic()
            answer = client.call("POST", BIND, body)
            if answer and answer[0] != 200:
                self.failures.append(f"bind: {answer[0]} {answer[1].get('errcode')}")
            elif answer:
                self.binds.append((time.monotonic() - started) * 1000)

    def _figures(self, took):
        figures = {
            "size": self.size,
            "seconds": took,
            "lookups": len(self.lookups),
            "misses": len(self.misses),
            "lookup_max_ms": max(self.lookups),
            "binds": len(self.binds),
            "bind_p50_ms": median(self.binds),
            "bind_max_ms": max(self.binds),
            "failures": len(self.failures),
        }
        say(f"  rotation: {took:.0f} s, {figures['lookups']:,} look-ups, {figures['misses']} misses,"
            f" longest {figures['lookup_max_ms']:.0f} ms; {figures['binds']:,} binds, longest"
            f" {figures['bind_max_ms']:.0f} ms; failures {self.failures[:3]}")
        return figures

