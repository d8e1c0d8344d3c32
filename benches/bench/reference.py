"""The Python Sydent on the same data."""

import os
import pathlib
import shutil
import subprocess

from . import data, workloads
from .load import Driver
from .server import Process, end, wait_for_answer
from .stats import median
from .tools import TEST_TOOLS, free_port, say

# What it is compared in.
NAMES = [
    "pubkey", "v1_lookup_hit", "v1_lookup_miss", "v2_lookup_1", "v2_lookup_100", "v2_lookup_1000",
    "v2_lookup_10000", "bulk_lookup_100",
]


def python():
    """The Python that has Sydent; `tests/run bench -- --sydent` installs it."""
    default = TEST_TOOLS / "sydent/bin/python"
    found = pathlib.Path(os.environ.get("TEST_SYDENT_PYTHON", default))
    if not found.exists():
        raise SystemExit(f"{found} is missing: tests/tools/install sydent")
    return found


class Sydent:
    """A running Sydent. Use it with `with`."""

    def __init__(self, folder, database):
        self.folder, self.port = folder, free_port()
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        shutil.copyfile(database, folder / "sydent.db")
        (folder / "sydent.conf").write_text(
            f"[general]\nserver.name = {data.SERVER_NAME}\npidfile.path = {folder}/sydent.pid\n"
            f"log.level = WARNING\n[db]\ndb.file = {folder}/sydent.db\n"
            f"[http]\nclientapi.http.bind_address = 127.0.0.1\nclientapi.http.port = {self.port}\n"
            "client_http_base = https://id.example.org\n"
            f"[crypto]\ned25519.signingkey = {data.KEY}\n"
        )

    def __enter__(self):
        self.log = open(self.folder / "log", "w")
        environment = os.environ | {"SYDENT_CONF": str(self.folder / "sydent.conf")}
        words = [python(), "-m", "sydent.sydent"]
        pipes = {"stdout": self.log, "stderr": self.log}
        self.child = subprocess.Popen(words, cwd=self.folder, env=environment, **pipes)
        path = "/_matrix/identity/v2/pubkey/ed25519:0"
        # On its first start it hashes all associations.
        wait_for_answer(self.child, self.port, path, self.folder / "log", 600)
        self.process = Process(self.child.pid)
        return self

    def __exit__(self, *_):
        end(self.child)
        self.log.close()
        shutil.rmtree(self.folder)


def compare(bench, database, folder, rows):
    """Measures the workloads of these rows with it; adds its figures to them."""
    rows = [row for row in rows if row["workload"] in NAMES]
    if not rows:
        return
    with Sydent(folder, database) as sydent, Driver(bench.programs, sydent.port) as driver:
        for row in rows:
            requests = workloads.WRK[row["workload"]][0](bench.folder, row["size"])
            runs = [
                measured(sydent, driver, requests, row["connections"], bench.options.seconds)
                for _ in range(bench.options.rounds)
            ]
            row["sydent_rate"] = median([run["rate"] for run in runs])
            row["sydent_cpu_us"] = median([run["cpu_us"] for run in runs])
            row["sydent_mb"] = sydent.process.memory()
            say(f"  Sydent: {row['workload']:<16} × {row['connections']:<3} {row['sydent_rate']:>9,.1f} /s")


def measured(sydent, driver, requests, connections, seconds):
    """One run. The helper sends the requests, since it waits for the last answers, which take long."""
    before = sydent.process.cpu()
    figures = driver.send("send", connections, seconds, requests.wire)
    done = figures["requests"] - figures["errors"]
    cpu = (sydent.process.cpu() - before) / max(1, done) * 1e6
    return {"rate": done / figures["seconds"], "cpu_us": cpu}
