"""Writes the figures as JSON and as tables in Markdown."""

import json


def write(result, folder):
    """Writes `results.json` and `results.md`."""
    (folder / "results.json").write_text(json.dumps(result, indent=1) + "\n")
    (folder / "results.md").write_text("\n".join(lines(result)) + "\n")


def lines(result):
    """The lines of the report."""
    machine = result["machine"]
    yield (
        f"{result['started']}, {result['cores']} cores, the generators on the same cores; load average"
        f" {result['load_before']:.1f} before and {result['load_after']:.1f} after;"
        f" {machine['signs_per_second']:,} signatures/s and {machine['fsyncs_per_second']:,} fsyncs/s"
        f" with one thread. Database: {result['database']}."
    )
    yield ""
    yield from table(
        ["workload", "associations", "connections", "requests/s", "±", "CPU µs", "± ", "p50 ms", "p99 ms",
         "bare /s", "of bare", "SQL alone µs", "CPU / SQL", "peak MB", "load", "errors"],
        [row_cells(row) for row in result["rows"]],
    )
    if any(row.get("sydent_rate") for row in result["rows"]):
        yield ""
        yield from table(
            ["workload", "associations", "connections", "requests/s", "Sydent /s", "times",
             "CPU µs", "Sydent CPU µs", "times ", "Sydent MB"],
            [sydent_cells(row) for row in result["rows"] if row.get("sydent_rate")],
        )
    if result.get("disturbances"):
        yield ""
        yield from table(
            ["v1 look-ups (400/s) while", "associations", "p50 ms", "p99 ms", "worst p99 ms", "max ms", "took s",
             "peak MB", "load"],
            [disturbance_cells(row) for row in result["disturbances"]],
        )
    if result.get("rotations"):
        yield ""
        yield from table(
            ["associations rotated", "took s", "look-ups", "misses", "longest ms", "binds", "p50 ms", "longest ms ",
             "failures"],
            [rotation_cells(row) for row in result["rotations"]],
        )
    if result.get("imports"):
        yield ""
        yield from table(
            ["associations imported", "s", "CPU s", "peak MB"],
            [[number(it[key]) for key in ("size", "seconds", "cpu_s", "peak_mb")] for it in result["imports"]],
        )
    yield ""
    yield from table(
        ["associations", "first answer after ms", "resident MB then"],
        [[number(it["size"]), f"{it['start_ms']:.0f}", f"{it['idle_mb']:.0f}"] for it in result["starts"]],
    )


def row_cells(row):
    """The cells of a row of the large table."""
    bare, sql = row.get("bare"), row.get("sql_us")
    return [
        row["workload"], number(row["size"]), str(row["connections"]),
        number(row["rate"]), f"{row['rate_spread']:.0%}",
        number(row["cpu_us"]), f"{row['cpu_spread']:.0%}",
        f"{row['p50_us'] / 1000:.2f}", f"{row['p99_us'] / 1000:.2f}",
        number(bare), f"{row['rate'] / bare:.0%}" if bare else "",
        number(sql), f"{row['cpu_us'] / sql:.2f}" if sql else "",
        f"{row['memory_mb']:.0f}", f"{row['load']:.1f}", str(row["errors"] or ""),
    ]


def sydent_cells(row):
    """The cells of a row of the comparison."""
    return [
        row["workload"], number(row["size"]), str(row["connections"]),
        number(row["rate"]), number(row["sydent_rate"]), f"{row['rate'] / row['sydent_rate']:.0f}",
        number(row["cpu_us"]), number(row["sydent_cpu_us"]), f"{row['sydent_cpu_us'] / row['cpu_us']:.0f}",
        f"{row['sydent_mb']:.0f}",
    ]


def disturbance_cells(row):
    """The cells of a disturbance."""
    return [
        row["disturbance"], number(row["size"]), f"{row['p50_us'] / 1000:.2f}", f"{row['p99_us'] / 1000:.2f}",
        f"{row['worst_p99_us'] / 1000:.2f}",
        f"{row['max_us'] / 1000:.0f}", f"{row['seconds']:.0f}", f"{row['memory_mb']:.0f}", f"{row['load']:.1f}",
    ]


def rotation_cells(row):
    """The cells of a rotation."""
    return [number(row[key]) for key in (
        "size", "seconds", "lookups", "misses", "lookup_max_ms", "binds", "bind_p50_ms", "bind_max_ms", "failures",
    )]


def number(value):
    """A number with groups of three digits; empty for None."""
    return "" if value is None else f"{value:,.0f}"


def table(heads, rows):
    """A table in Markdown; numbers are to the right."""
    yield f"| {' | '.join(heads)} |"
    yield "|---|" + "---:|" * (len(heads) - 1)
    for row in rows:
        yield f"| {' | '.join(row)} |"
