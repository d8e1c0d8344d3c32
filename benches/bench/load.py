"""The load generators: wrk, and the compiled helper for what needs several requests in a row."""

import json
import subprocess

from .tools import CORES, HERE


class Wrk:
    """Runs wrk. Numbers in requests go on counting from run to run."""

    def __init__(self):
        self.next = 1

    def start(self, port, requests, connections, seconds, prefix=()):
        """Starts a load, with some words before its command; `result` waits for its end."""
        threads = max(1, min(CORES, connections))
        words = [*prefix, "wrk", "-t", str(threads), "-c", str(connections), "-d", f"{seconds}s"]
        words += ["--timeout", "60s", "-s", HERE / "wrk.lua", f"http://127.0.0.1:{port}/"]
        words += ["--", requests.wire, str(self.next)]
        self.next += 100_000_000
        return subprocess.Popen(words, stdout=subprocess.PIPE, text=True)

    @staticmethod
    def result(running):
        """The figures of a load."""
        output, _ = running.communicate()
        for line in output.splitlines():
            if line.startswith("RESULT "):
                return json.loads(line.removeprefix("RESULT "))
        raise SystemExit(f"wrk fails: {output}")

    def run(self, port, requests, connections, seconds):
        """Loads a server; returns the figures."""
        return self.result(self.start(port, requests, connections, seconds))


class Driver:
    """The compiled helper, which also is the server's mail relay and homeserver. Use it with `with`."""

    def __init__(self, programs, port):
        self.words = [programs.helper, "drive", f"127.0.0.1:{port}"]

    def __enter__(self):
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
        self.child = subprocess.Popen(self.words, **pipes)
        self.ports = self._answer()
        return self

    def __exit__(self, *_):
        self.child.stdin.close()
        self.child.kill()
        self.child.wait()

    def _answer(self):
        line = self.child.stdout.readline()
        if not line:
            raise SystemExit("the helper has ended; its message is above")
        return json.loads(line)

    def send(self, *words):
        """Sends a command; returns the answer."""
        self.child.stdin.write(" ".join(map(str, words)) + "\n")
        self.child.stdin.flush()
        return self._answer()
