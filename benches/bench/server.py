"""The server under test: the release binary with its limits lifted."""

import http.client
import os
import pathlib
import subprocess
import time
import tomllib

from .data import KEY
from .tools import ROOT, free_port

TICK = os.sysconf("SC_CLK_TCK")
DEFAULTS = tomllib.loads((ROOT / "config/default.toml").read_text())
PORTS = {"http.listen": "client", "operations.listen": "operations"}


def settings(database, ports, driver=None, more=None):
    """The settings as TOML, by dotted key."""
    chosen = {
        "server.name": '"id.example.org"',
        "server.public_base_url": '"http://id.example.org"',
        "server.allow_plain_http": "true",
        "server.signing_key_file": '"signing.key"',
        "database.url": f'"{database}"',
        "database.queue": "4096",
        "log.level": '"error"',
        "federation.dns_servers": '["127.0.0.1:9"]',
        "http.listen": f'["127.0.0.1:{ports["client"]}"]',
        "operations.listen": f'["127.0.0.1:{ports["operations"]}"]',
        "http.trusted_proxies": '["127.0.0.1"]',
        "http.max_connections_per_client": "4096",
        "http.max_requests_per_client": "4096",
        "limits.sms_per_day": "0",
        # A database that was filled long ago keeps its pepper.
        "lookup.rotate_pepper_every": '"0s"',
    }
    for name, limit in DEFAULTS["limits"].items():
        if isinstance(limit, dict):
            chosen[f"limits.{name}.burst"] = "0"
    if driver:
        chosen |= {
            "email.transport": '"smtp"',
            "email.from": '"noreply@example.org"',
            "email.smtp.host": '"127.0.0.1"',
            "email.smtp.port": str(driver["relay"]),
            "email.smtp.encryption": '"none"',
            "federation.hosts": f'{{ "example.org" = "127.0.0.1:{driver["homeserver"]}" }}',
            "federation.verify_certificates": "false",
        }
    return chosen | (more or {})


class Process:
    """Figures of a process from /proc."""

    def __init__(self, pid):
        self.folder = pathlib.Path(f"/proc/{pid}")

    def cpu(self):
        """Seconds of CPU so far, of all threads."""
        fields = (self.folder / "stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / TICK

    def memory(self, name="VmRSS"):
        """Resident memory, MB; `VmHWM` is its peak."""
        for line in (self.folder / "status").read_text().splitlines():
            if line.startswith(f"{name}:"):
                return int(line.split()[1]) / 1024
        return 0.0

    def forget_peak(self):
        """From now on the peak is that of what follows."""
        (self.folder / "clear_refs").write_text("5")


class Server:
    """A running server. Use it with `with`."""

    def __init__(self, binary, folder, database, driver=None, port=None, more=None):
        self.binary, self.folder = binary, folder
        self.ports = {"client": port or free_port(), "operations": free_port()}
        chosen = settings(database, self.ports, driver, more)
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "signing.key").write_text(KEY + "\n")
        (folder / "signing.key").chmod(0o600)
        text = "".join(f"{key} = {value}\n" for key, value in chosen.items())
        (folder / "sydent.toml").write_text(text)

    @property
    def port(self):
        """The port of the client listener."""
        return self.ports["client"]

    def __enter__(self):
        started = time.monotonic()
        words = [self.binary, "serve", "--config", "sydent.toml"]
        self.log = open(self.folder / "server.log", "w")
        self.child = subprocess.Popen(words, cwd=self.folder, stderr=self.log)
        wait_for_answer(self.child, self.port, "/_matrix/identity/versions", self.folder / "server.log")
        self.start_ms = (time.monotonic() - started) * 1000
        self.process = Process(self.child.pid)
        self.start_mb = self.process.memory()
        return self

    def __exit__(self, *_):
        end(self.child)
        self.log.close()


def end(child):
    """Ends a process."""
    child.terminate()
    try:
        child.wait(60)
    except subprocess.TimeoutExpired:
        child.kill()
        child.wait()


def wait_for_answer(child, port, path, log, seconds=60):
    """Waits until a server answers that path."""
    give_up = time.monotonic() + seconds
    while True:
        try:
            if get(port, path)[0] == 200:
                return
        except OSError:
            pass
        if child.poll() is not None or time.monotonic() > give_up:
            child.kill()
            raise SystemExit(f"the server does not start:\n{log.read_text()[-2000:]}")
        time.sleep(0.001)


def get(port, path):
    """A request; returns status and body."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    connection.request("GET", path)
    answer = connection.getresponse()
    result = answer.status, answer.read()
    connection.close()
    return result
