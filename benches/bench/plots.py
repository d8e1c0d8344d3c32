"""Draws the figures of `results.json` as SVG: `plots.py FOLDER`, in an environment with matplotlib."""

import json
import pathlib
import sys

import matplotlib

matplotlib.use("svg")
from matplotlib import pyplot  # noqa: E402

OURS, LIMIT, SYDENT = "#0a6ebd", "#9aa0a6", "#d9822b"


def main(folder):
    result = json.loads((folder / "results.json").read_text())
    rows = result["rows"]
    if not rows:
        return
    busiest = max(row["connections"] for row in rows if row["connections"] <= 64)
    rows = [row for row in rows if row["connections"] == busiest]
    by_size(rows, busiest, folder / "rate_by_size.svg")
    by_hashes(rows, folder / "cost_by_hashes.svg")
    if result.get("disturbances"):
        disturbed(result["disturbances"], folder / "latency_disturbed.svg")


def by_size(rows, connections, file):
    """Requests per second against the size of the database."""
    names = ["pubkey", "v1_lookup_hit", "v2_lookup_1", "v2_lookup_100", "bulk_lookup_100", "flow"]
    figure, axes = pyplot.subplots(figsize=(8, 5))
    for name in names:
        line = sorted((row["size"], row["rate"]) for row in rows if row["workload"] == name)
        if line:
            axes.plot(*zip(*line), marker="o", label=name)
    axes.set(xscale="log", yscale="log", xlabel="associations", ylabel="requests/s",
             title=f"Requests per second with {connections} connections")
    finish(figure, axes, file)


def by_hashes(rows, file):
    """The cost of a request against its number of hashes."""
    largest = max(row["size"] for row in rows)
    figure, axes = pyplot.subplots(figsize=(8, 5))
    for key, label, color in (
        ("cpu_us", "server", OURS), ("sql_us", "the same SQL without HTTP", LIMIT),
        ("sydent_cpu_us", "Sydent", SYDENT),
    ):
        line = sorted(
            (int(row["workload"].rpartition("_")[2]), row[key]) for row in rows
            if row["workload"].startswith("v2_lookup_") and row["size"] == largest and row.get(key)
        )
        if line:
            axes.plot(*zip(*line), marker="o", label=label, color=color)
    axes.set(xscale="log", yscale="log", xlabel="hashes per request", ylabel="CPU µs per request",
             title=f"Cost of a v2 look-up with {largest:,} associations")
    finish(figure, axes, file)


def disturbed(rows, file):
    """The latency of look-ups under each disturbance."""
    figure, axes = pyplot.subplots(figsize=(8, 4))
    names = [row["disturbance"] for row in rows][::-1]
    for offset, key, label, color in ((-0.2, "p99_us", "p99", OURS), (0.2, "p50_us", "median", LIMIT)):
        places = [place + offset for place in range(len(rows))]
        axes.barh(places, [row[key] / 1000 for row in rows[::-1]], 0.4, label=label, color=color)
    axes.axvline(2 * rows[0]["p99_us"] / 1000, linestyle="--", color="black", label="2 × quiet p99")
    axes.set_yticks(range(len(rows)), names)
    axes.set(xscale="log", xlabel="ms", title="Latency of v1 look-ups while …")
    finish(figure, axes, file)


def finish(figure, axes, file):
    """Adds what all plots have, and writes the file."""
    axes.grid(True, which="major", alpha=0.3)
    if axes.get_legend_handles_labels()[0]:
        axes.legend()
    figure.tight_layout()
    figure.savefig(file)
    pyplot.close(figure)


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]))
