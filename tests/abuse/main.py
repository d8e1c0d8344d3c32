"""Runs the attacks and prints what was measured: see README.md."""

import importlib
import pathlib
import sys
import time
import traceback

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))


class Table:
    """The rows of all attacks."""

    def __init__(self):
        self.failed = 0

    def row(self, name, measured, right, ok):
        """Reports one measurement: what it is, its value, the right value, and whether it is right."""
        self.failed += not ok
        verdict = "ok" if ok else "FAILED"
        print(f"{name:<58} {measured!s:>22}   {right!s:<26} {verdict}", flush=True)


def main(names):
    known = sorted(file.stem for file in (HERE / "attacks").glob("[a-z]*.py"))
    unknown = [name for name in names if name not in known]
    if unknown:
        print(f"no such attack: {', '.join(unknown)}; there are: {', '.join(known)}", file=sys.stderr)
        return 2
    table = Table()
    print(f"{'name':<58} {'measured':>22}   {'right value':<26} result")
    for name in names or known:
        started = time.monotonic()
        try:
            importlib.import_module(f"attacks.{name}").attack(table)
        except Exception:
            traceback.print_exc()
            table.row(f"{name}: completed", "an exception", "no exception", False)
        print(f"  ({name}: {time.monotonic() - started:.0f} s)", flush=True)
    return 1 if table.failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
