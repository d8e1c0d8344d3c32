"""Where things are: folders, the binary, the compiled helper, and the load generator."""

import json
import os
import pathlib
import shutil
import socket
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
HERE = pathlib.Path(__file__).resolve().parent
TARGET = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")).resolve()
TEST_TOOLS = ROOT / "target/test-tools"
CORES = len(os.sched_getaffinity(0))


class Programs:
    """The server's binary and the compiled helper of the benchmark."""

    def __init__(self, binary, helper):
        self.binary = pathlib.Path(binary or TARGET / "release/sydent").resolve()
        self.helper = pathlib.Path(helper or self._newest_helper()).resolve()
        for file in (self.binary, self.helper):
            if not file.exists():
                raise SystemExit(f"{file} is missing: cargo bench --no-run --bench service")
        if not shutil.which("wrk"):
            raise SystemExit("wrk is missing: apt-get install wrk, or tests/run bench")

    @staticmethod
    def _newest_helper():
        found = (TARGET / "release/deps").glob("service-*")
        found = [file for file in found if os.access(file, os.X_OK) and not file.suffix]
        return max(found, key=lambda file: file.stat().st_mtime, default=TARGET / "release/deps/service")

    def ask(self, *arguments):
        """Runs the helper to its end; returns the JSON that it prints."""
        words = [self.helper, *map(str, arguments)]
        return json.loads(subprocess.run(words, check=True, stdout=subprocess.PIPE, text=True).stdout)


def free_port():
    """A port that nobody listens on; between this and its use, somebody might."""
    with socket.create_server(("127.0.0.1", 0)) as one:
        return one.getsockname()[1]


def say(text):
    """Tells how far the benchmark is."""
    print(text, file=sys.stderr, flush=True)
