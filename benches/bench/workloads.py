"""The workloads, and how one is measured beside its limits."""

import contextlib
import http.client
import os
import subprocess
from functools import partial

from . import requests as make
from .stats import median, spread
from .tools import say

# Each workload by name: the requests, and the operation of the SQL loop that has the same queries.
WRK = {
    "pubkey": (make.pubkey, None),
    "v1_lookup_hit": (partial(make.v1_lookup, hit=True), "v1"),
    "v1_lookup_miss": (partial(make.v1_lookup, hit=False), "v1"),
    "v2_lookup_1": (partial(make.v2_lookup, count=1), "v2"),
    "v2_lookup_100": (partial(make.v2_lookup, count=100), "v2"),
    "v2_lookup_1000": (partial(make.v2_lookup, count=1000), "v2"),
    "v2_lookup_10000": (partial(make.v2_lookup, count=10_000), "v2"),
    "bulk_lookup_100": (partial(make.bulk_lookup, count=100), "bulk"),
    "sign_ed25519": (make.sign, None),
    "request_token": (make.request_token, None),
}
# The helper sends these, since it waits for the last answers; wrk does not count what it had sent when
# its time is over, which matters where few requests fit in.
LARGE = ["v2_lookup_1000", "v2_lookup_10000"]
# Those that the helper runs, since their requests depend on each other.
DRIVEN = {"flow": None, "mixed": make.mixed}
NAMES = [*WRK, *DRIVEN]


# The clients of whole flows have one address, for which the server keeps no more requests waiting for
# the outcome of their mails.
MOST_FLOWS = 64


def is_measured(name, connections):
    """Whether the server would serve so many connections of a workload."""
    return name not in DRIVEN or connections <= MOST_FLOWS


class Bench:
    """What measurements share: programs, folders, options."""

    def __init__(self, programs, wrk, folder, options):
        self.programs, self.wrk, self.options = programs, wrk, options
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)

    def measure(self, name, size, connections, server, driver, url):
        """Measures a workload with so many connections; returns a row of the table."""
        maker = WRK[name][0] if name in WRK else DRIVEN[name]
        requests = maker(self.folder, size) if maker else None

        def load(seconds):
            if name in LARGE:
                return driver.send("send", connections, seconds, requests.wire)
            if name in WRK:
                return self.wrk.run(server.port, requests, connections, seconds)
            file = [requests.wire] if requests else []
            return driver.send(name, connections, seconds, *file)

        bare_requests = requests if name in WRK and not self.options.no_bare else None
        with self._bare(bare_requests, server.port) as bare_port:
            rounds = self._rounds(load, server, bare_requests, bare_port, connections)
        row = {"workload": name, "size": size, "connections": connections, **summary(rounds)}
        operation = WRK.get(name, (None, "flow" if name == "flow" else None))[1]
        if operation and not self.options.no_sql:
            row["sql_us"] = self._sql(operation, url, requests)
        say(describe(row))
        return row

    def _rounds(self, load, server, requests, bare_port, connections):
        """Our server and the bare handler in turn, so that both have the same machine."""
        rounds, seconds = [], self.options.seconds
        # The first requests fill caches.
        load(min(1, seconds))
        server.process.forget_peak()
        for _ in range(self.options.rounds):
            before = server.process.cpu()
            figures = load(seconds)
            cpu = server.process.cpu() - before
            done = max(1, figures["requests"])
            one = {
                "rate": figures["requests"] / figures["seconds"],
                "cpu_us": cpu / done * 1e6,
                "p50_us": figures["p50_us"],
                "p99_us": figures["p99_us"],
                "errors": figures["errors"],
                "memory_mb": server.process.memory("VmHWM"),
            }
            if requests:
                bare = self.wrk.run(bare_port, requests, connections, min(1, seconds))
                one["bare"] = bare["requests"] / bare["seconds"]
            rounds.append(one)
        return rounds

    @contextlib.contextmanager
    def _bare(self, requests, port):
        """A bare handler that answers as many bytes as our server does."""
        if not requests:
            yield None
            return
        words = [self.programs.helper, "bare", str(answer_bytes(port, requests))]
        with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as child:
            try:
                yield int(child.stdout.readline())
            finally:
                child.kill()

    def _sql(self, operation, url, requests):
        """The microseconds of CPU of the same SQL without HTTP. Writes wait for the disk, and queries
        for PostgreSQL: then it is the time by the clock."""
        is_cpu = url.startswith("sqlite:") and operation != "flow"
        runs = []
        for _ in range(min(3, self.options.rounds)):
            file = [requests.entries] if requests else []
            runs.append(self.programs.ask("sql", url, operation, 1, *file)["cpu_us" if is_cpu else "us"])
        return median(runs)


def answer_bytes(port, requests):
    """How long the body of the first answer is."""
    head, _, body = requests.first().partition(b"\r\n\r\n")
    line, *headers = head.decode().split("\r\n")
    method, path, _ = line.split(" ")
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    headers = dict(header.split(": ", 1) for header in headers)
    connection.request(method, path, body.replace(b"NNNNNNNNNNNNN", b"0000000000000"), headers)
    answer = connection.getresponse()
    length = len(answer.read())
    connection.close()
    return length


def summary(rounds):
    """The median of each figure, and the spread of the rate and of the CPU."""
    row = {key: median([one.get(key) for one in rounds]) for key in rounds[0]}
    row["errors"] = sum(one["errors"] for one in rounds)
    row["memory_mb"] = max(one["memory_mb"] for one in rounds)
    row["rate_spread"] = spread([one["rate"] for one in rounds])
    row["cpu_spread"] = spread([one["cpu_us"] for one in rounds])
    row["load"] = os.getloadavg()[0]
    row["rounds"] = rounds
    return row


def describe(row):
    """One line about a row, while the benchmark runs."""
    text = f"  {row['workload']:<16} {row['size']:>9,} × {row['connections']:<3} {row['rate']:>9,.0f} /s"
    text += f" ±{row['rate_spread']:.0%} {row['cpu_us']:>8,.0f} µs CPU, p99 {row['p99_us'] / 1000:.2f} ms"
    if row.get("bare"):
        text += f", {row['rate'] / row['bare']:.0%} of bare {row['bare']:,.0f} /s"
    if row.get("sql_us"):
        text += f", SQL alone {row['sql_us']:,.0f} µs"
    if row["errors"]:
        text += f", {row['errors']} ERRORS"
    return text
