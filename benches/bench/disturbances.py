"""The latency of v1 look-ups while the server is busy with something else."""

import contextlib
import os
import sqlite3
import statistics
import subprocess
import time

from . import requests as make
from .server import Server
from .tools import say

CONNECTIONS = 8
PER_SECOND = 400
PART_SECONDS = 2
# What takes longer than this is ended, or goes on unwatched.
LONGEST = 60
EXPIRED_SESSIONS = 200_000
# Long enough ago to be removed by the defaults.
LONG_AGO_MS = 30 * 86_400_000


class Disturbances:
    """Measures each; `rows` has the results."""

    def __init__(self, bench, data, folder, size, driver, port):
        self.bench, self.data, self.folder, self.size = bench, data, folder, size
        self.driver, self.port = driver, port
        self.requests = make.v1_lookup(bench.folder, size, True)
        self.seconds = 3 if bench.options.quick else 15
        self.rows = []

    def measure(self):
        """Measures all; returns the rows."""
        with self._server() as server:
            self._row("quiet", server, contextlib.nullcontext())
            self._row("the relay takes 2 s a mail", server, self._stalled_relay(server))
            self._row("4 clients look up 10,000 hashes", server, self._storm(server))
            self._row("a pepper is rotated", server, self._command(["pepper", "rotate"]))
            self._row("an import into another file", server, self._import())
        self._expire_sessions()
        with self._server(copy=False) as server:
            self._row(f"the janitor removes {EXPIRED_SESSIONS:,} sessions", server, self._cleaning())
        return self.rows

    def import_alone(self):
        """What an import of this size takes while nothing else runs."""
        file = self.folder / "alone.sqlite"
        figures = self.data.import_into(f"sqlite:{file}", self.size)
        for part in self.folder.glob("alone.sqlite*"):
            part.unlink()
        say(f"  imports {self.size:,} in {figures['seconds']:.0f} s, {figures['cpu_s']:.0f} s CPU,"
            f" {figures['peak_mb']:.0f} MB")
        return figures

    def _server(self, copy=True):
        database = self.folder / "sydent.sqlite"
        if copy:
            self.data.copy(self.size, self.folder)
        url = f"sqlite:{database}"
        return Server(self.bench.programs.binary, self.folder, url, self.driver.ports, self.port)

    def _row(self, name, server, disturbance):
        """Probes in parts of some seconds, until the disturbance is over or long enough."""
        server.process.forget_peak()
        started, parts = time.monotonic(), []
        with disturbance as is_running:
            while True:
                arguments = CONNECTIONS, PER_SECOND, PART_SECONDS
                parts.append(self.driver.send("probe", *arguments, self.requests.wire))
                took = time.monotonic() - started
                is_over = not is_running() if is_running else took > self.seconds
                if is_over or took > LONGEST:
                    break
        # The median of the parts does not grow with their number, as the worst does.
        row = {
            "disturbance": name,
            "size": self.size,
            "p50_us": statistics.median(part["p50_us"] for part in parts),
            "p99_us": statistics.median(part["p99_us"] for part in parts),
            "worst_p99_us": max(part["p99_us"] for part in parts),
            "max_us": max(part["max_us"] for part in parts),
            "seconds": took,
            "memory_mb": server.process.memory("VmHWM"),
            "load": os.getloadavg()[0],
        }
        self.rows.append(row)
        say(f"  {name:<40} p50 {row['p50_us'] / 1000:6.2f} ms, p99 {row['p99_us'] / 1000:7.2f} ms"
            f" (at worst {row['worst_p99_us'] / 1000:.2f}), {took:.0f} s, {row['memory_mb']:.0f} MB")

    @contextlib.contextmanager
    def _load(self, server, requests, connections):
        # Elsewhere the clients would be on other machines.
        behind = ["nice", "-n", "10"]
        running = self.bench.wrk.start(server.port, requests, connections, 2 * LONGEST, behind)
        try:
            time.sleep(1)
            yield None
        finally:
            running.kill()
            running.wait()

    @contextlib.contextmanager
    def _stalled_relay(self, server):
        self.driver.send("delay", 2000)
        with self._load(server, make.request_token(self.bench.folder, self.size), 50):
            yield None
        self.driver.send("delay", 0)
        # The mails that are queued.
        time.sleep(3)

    def _storm(self, server):
        return self._load(server, make.v2_lookup(self.bench.folder, self.size, 10_000), 4)

    @contextlib.contextmanager
    def _command(self, words):
        words = [self.bench.programs.binary, *words, "--config", "sydent.toml"]
        child = subprocess.Popen(words, cwd=self.folder, stdout=subprocess.DEVNULL)
        try:
            yield lambda: child.poll() is None
        finally:
            self._end(child)

    @contextlib.contextmanager
    def _import(self):
        folder = self.folder / "import"
        folder.mkdir(exist_ok=True)
        for file in folder.iterdir():
            file.unlink()
        url = f"sqlite:{folder / 'imported.sqlite'}"
        child = self.data.start_import(url, self.data.sydent(self.size), folder)
        try:
            yield lambda: child.poll() is None
        finally:
            self._end(child)
        for file in folder.iterdir():
            file.unlink()

    @staticmethod
    def _end(child):
        if child.poll() is None:
            child.terminate()
        child.wait()

    def _expire_sessions(self):
        columns = "sid, medium, address, client_secret, token, created_at, wrong_tokens, superseded, hashed"
        at = int(time.time() * 1000) - LONG_AGO_MS
        rows = (
            (f"old{n}", "email", f"old{n}@example.com", f"s{n}", f"t{n}", at, 0, 0, 1)
            for n in range(EXPIRED_SESSIONS)
        )
        with contextlib.closing(sqlite3.connect(self.folder / "sydent.sqlite")) as connection:
            connection.executemany(
                f"INSERT INTO validation_sessions ({columns}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", rows
            )
            connection.commit()

    @contextlib.contextmanager
    def _cleaning(self):
        """The janitor works from the start on."""
        with contextlib.closing(sqlite3.connect(self.folder / "sydent.sqlite")) as connection:
            query = "SELECT 1 FROM validation_sessions WHERE sid LIKE 'old%' LIMIT 1"
            yield lambda: connection.execute(query).fetchone()
