"""Starts the built binary with a throwaway configuration."""

import os
import pathlib
import resource
import socket
import subprocess
import tempfile
import threading
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]


LISTENERS = {
    "http.listen": "client",
    "internal.listen": "internal",
    "operations.listen": "operations",
}


def free_ports(count):
    """Ports that nobody listens on; between this and the start, somebody might."""
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports


def binary():
    """The binary to attack: SYDENT_BINARY, or the newest build of this project."""
    chosen = os.environ.get("SYDENT_BINARY")
    if chosen:
        return pathlib.Path(chosen)
    target = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
    built = [target / profile / "sydent" for profile in ("debug", "release", "dist")]
    built = [file for file in built if file.exists()]
    if not built:
        raise SystemExit("sydent is not built: run tests/run abuse, or cargo build")
    return max(built, key=lambda file: file.stat().st_mtime)


class Server:
    """A running server. Use it with `with`; it ends, and its folder is removed, at the end.

    `settings` maps dotted keys to TOML values. `open_files` is the soft limit of descriptors that it
    starts with, and `max_open_files` the hard one. `homeserver` is a running `Homeserver`, which
    then is what every server name means.
    """

    def __init__(self, settings=None, open_files=None, max_open_files=None, homeserver=None):
        self.settings = {
            "server.name": '"id.example.org"',
            "server.public_base_url": '"http://id.example.org"',
            "server.allow_plain_http": "true",
            "server.signing_key_file": '"signing.key"',
            "database.url": '"sqlite:sydent.db"',
            # A line for each request of a flood would measure how fast this reads them.
            "log.level": '"warn"',
            # No name server outside of this machine is asked.
            "federation.dns_servers": '["127.0.0.1:9"]',
        }
        if homeserver:
            self.settings.update(homeserver.settings())
        self.settings.update(settings or {})
        self.open_files = open_files
        self.max_open_files = max_open_files or open_files
        self.lines = []
        self.ports = dict(zip(LISTENERS.values(), free_ports(len(LISTENERS))))
        for key, name in LISTENERS.items():
            self.settings.setdefault(key, f'["127.0.0.1:{self.ports[name]}"]')

    def __enter__(self):
        self._folder = tempfile.TemporaryDirectory(prefix="sydent-abuse-")
        self.folder = pathlib.Path(self._folder.name)
        text = "".join(f"{key} = {value}\n" for key, value in self.settings.items())
        (self.folder / "sydent.toml").write_text(text)
        key = ["key", "generate", "--out", "signing.key"]
        subprocess.run([binary(), *key], cwd=self.folder, check=True, capture_output=True)
        self.process = subprocess.Popen(
            [binary(), "serve", "--config", "sydent.toml"],
            cwd=self.folder,
            env={"PATH": os.environ.get("PATH", "")},
            stderr=subprocess.PIPE,
            text=True,
            preexec_fn=self._limit,
        )
        threading.Thread(target=self._read_log, daemon=True).start()
        self._wait()
        return self

    def __exit__(self, *_):
        self.process.terminate()
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self._folder.cleanup()

    @property
    def pid(self):
        return self.process.pid

    @property
    def client(self):
        """The address of the client listener."""
        return "127.0.0.1", self.ports["client"]

    @property
    def internal(self):
        """The address of the internal listener."""
        return "127.0.0.1", self.ports["internal"]

    @property
    def operations(self):
        """The address of the operations listener."""
        return "127.0.0.1", self.ports["operations"]

    def _limit(self):
        if self.open_files:
            resource.setrlimit(resource.RLIMIT_NOFILE, (self.open_files, self.max_open_files))

    def _read_log(self):
        for line in self.process.stderr:
            # Enough to see how it starts; an attack may cause millions of lines.
            if len(self.lines) < 10_000:
                self.lines.append(line.rstrip())

    def _wait(self):
        end = time.monotonic() + 30
        waiting = list(self.ports.values())
        while waiting:
            if self.process.poll() is not None or time.monotonic() > end:
                self.process.kill()
                raise RuntimeError("the server does not start:\n" + "\n".join(self.lines[-20:]))
            try:
                socket.create_connection(("127.0.0.1", waiting[-1]), 1).close()
                waiting.pop()
            except OSError:
                time.sleep(0.02)
