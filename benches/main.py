"""Measures the server beside its limits: see README.md, or `--help`."""

import argparse
import os
import pathlib
import signal
import subprocess
import sys
import time

from bench import postgres, reference, report, workloads
from bench.data import Data
from bench.disturbances import Disturbances
from bench.load import Driver, Wrk
from bench.rotation import Rotation
from bench.server import Server
from bench.stats import median
from bench.tools import CORES, HERE, TARGET, TEST_TOOLS, Programs, free_port, say

STARTS = 5


def options(arguments):
    """Parses the command line."""
    parser = argparse.ArgumentParser(prog="tests/run bench --", description=__doc__)
    add = parser.add_argument
    add("--binary", help="the server (default: the release build)")
    add("--helper", help="the compiled part of the benchmark (default: the newest)")
    add("--out", type=pathlib.Path, default=TARGET / "bench", help="the folder for the results")
    add("--size", dest="sizes", type=int, action="append", metavar="N",
        help="associations in the database; can be repeated (default: 10000, 100000 and 1000000)")
    add("--workloads", nargs="+", metavar="NAME", default=workloads.NAMES,
        choices=[*workloads.NAMES, "none"], help=f"only these of: {', '.join(workloads.NAMES)}; or none")
    add("--connections", nargs="+", type=int, metavar="N", help="(default: 1 32)")
    add("--rounds", type=int, help="runs whose median counts (default: 5)")
    add("--seconds", type=float, help="the length of a run (default: 2)")
    add("--no-bare", action="store_true", help="leave out the bare handler")
    add("--no-sql", action="store_true", help="leave out the SQL without HTTP")
    add("--postgres", action="store_true", help="on a temporary PostgreSQL server instead of SQLite")
    add("--sydent", action="store_true", help="also measure the Python Sydent on the same data")
    add("--disturb", action="store_true",
        help="also measure look-ups while the server is disturbed, on the largest size")
    add("--quick", action="store_true", help="10000 associations, 3 short runs: under 3 minutes")
    chosen = parser.parse_args(arguments)
    if chosen.workloads == ["none"]:
        chosen.workloads = []
    quick = chosen.quick
    chosen.sizes = chosen.sizes or ([10_000] if quick else [10_000, 100_000, 1_000_000])
    chosen.connections = chosen.connections or ([32] if quick else [1, 32])
    chosen.rounds = chosen.rounds or (3 if quick else 5)
    # wrk takes whole seconds.
    chosen.seconds = max(1, round(chosen.seconds or (1 if quick else 2)))
    return chosen


def main(arguments):
    chosen = options(arguments)
    # So that what it has started ends as well.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    if chosen.postgres:
        postgres.enter()
    programs = Programs(chosen.binary, chosen.helper)
    data = Data(programs, TARGET / "bench-data")
    work = make_folder(TARGET / "bench-work")
    bench = workloads.Bench(programs, Wrk(), data.requests, chosen)
    result = {
        "started": time.strftime("%Y-%m-%d %H:%M"),
        "database": "PostgreSQL, durable" if chosen.postgres else "SQLite",
        "cores": CORES,
        "load_before": os.getloadavg()[0],
        "machine": programs.ask("machine", work),
        "rows": [],
        "starts": [],
        "disturbances": [],
        "rotations": [],
        "imports": [],
    }
    for size in chosen.sizes:
        measure_size(bench, data, work, size, result)
        save(result, chosen.out)
    print((chosen.out / "results.md").read_text())
    plot(chosen.out)


def measure_size(bench, data, work, size, result):
    """Measures everything with so many associations."""
    chosen, folder = bench.options, make_folder(work / "server")
    url = postgres.fill(data, size) if chosen.postgres else f"sqlite:{data.copy(size, folder)}"
    port = free_port()
    with Driver(bench.programs, port) as driver:
        driver.send("accounts", size)
        server = Server(bench.programs.binary, folder, url, driver.ports, port)
        result["starts"].append(starts(server, size))
        with server:
            measured = [
                bench.measure(name, size, connections, server, driver, url)
                for name in chosen.workloads
                for connections in chosen.connections
                if workloads.is_measured(name, connections)
            ]
        result["rows"] += measured
        save(result, chosen.out)
        if chosen.sydent:
            reference.compare(bench, data.sydent(size), work / "sydent", measured)
        if chosen.disturb and size == max(chosen.sizes) and not chosen.postgres:
            disturbances = Disturbances(bench, data, folder, size, driver, port)
            result["disturbances"] += disturbances.measure()
            result["imports"].append(disturbances.import_alone())
            url = f"sqlite:{data.copy(size, folder)}"
            result["rotations"].append(Rotation(bench.programs, folder, size, url).measure())


def save(result, folder):
    """Writes what there is so far."""
    result["load_after"] = os.getloadavg()[0]
    report.write(result, make_folder(folder))


def starts(server, size):
    """Starts and stops the server some times; returns the medians."""
    times, memory = [], []
    for _ in range(STARTS):
        with server:
            times.append(server.start_ms)
            memory.append(server.start_mb)
    figures = {"size": size, "start_ms": median(times), "idle_mb": median(memory)}
    say(f"{size:,} associations: starts in {figures['start_ms']:.0f} ms, {figures['idle_mb']:.0f} MB")
    return figures


def plot(folder):
    """Draws the plots, if matplotlib was installed for them."""
    python = TEST_TOOLS / "plots/bin/python"
    if python.exists():
        subprocess.run([python, HERE / "plots.py", folder], check=True)
    else:
        say("no plots: tests/tools/install bench installs matplotlib for them")


def make_folder(folder):
    """The folder, which is made if needed."""
    folder.mkdir(parents=True, exist_ok=True)
    return folder


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
