"""Databases of a size, filled once and kept: the tables of a Sydent, and their import."""

import base64
import contextlib
import hashlib
import itertools
import json
import os
import pathlib
import shutil
import sqlite3
import subprocess
import time

from .tools import ROOT, say

# To be raised when what a database is filled with changes. The rules for numbers are also in
# benches/helper/data.rs.
RULES = 1
KEY = "ed25519 0 YJDBA9Xnr2sVqXD9Vj7XVUnmFZcZrlw8Md7kMW+3XA1"
SERVER_NAME = "id.example.org"
PEPPER = "benchmarkpepper"
# The token of an invitation of an address that nobody binds.
INVITE = "benchmarkinvite"
ROWS = 10_000
# Sessions are kept for some days, the bindings of a year for ever.
ASSOCIATIONS_PER_SESSION = 50

SCHEMA = (ROOT / "src/db/sydent/schema_5.sql").read_text()


def address(number):
    """The address of the association with that number."""
    return f"u{number * 2_654_435_761 % 2**32:08x}@example.com"


def user(number):
    """The user of the association with that number."""
    return f"@user{number}:example.org"


def token(number):
    """The access token of the user with that number."""
    return f"benchmark-token-{number}"


def lookup_hash(address, pepper=PEPPER):
    """The hash of an address in a v2 look-up."""
    digest = hashlib.sha256(f"{address} email {pepper}".encode()).digest()
    return base64.urlsafe_b64encode(digest).decode().rstrip("=")


def version(*files):
    """A short hash of these files."""
    digest = hashlib.sha256()
    for file in files:
        digest.update(file.read_bytes())
    return digest.hexdigest()[:12]


class Data:
    """Filled databases in a folder. They are made again when the migrations or `RULES` change."""

    def __init__(self, programs, folder):
        self.programs = programs
        migrations = sorted((ROOT / "migrations").rglob("*.sql"))
        self.folder = folder / f"{RULES}-{version(*migrations)}"
        # Where the requests are kept.
        requests = pathlib.Path(__file__).with_name("requests.py")
        self.requests = folder / f"requests-{RULES}-{version(requests)}"

    def sydent(self, size):
        """The database of a Sydent with so many associations."""
        file = self.folder / f"{size}.sydent"
        if not file.exists():
            self.folder.mkdir(parents=True, exist_ok=True)
            say(f"  makes {size:,} signed associations")
            part = file.with_suffix(".part")
            part.unlink(missing_ok=True)
            self._fill(part, size)
            part.rename(file)
        return file

    def sqlite(self, size):
        """The server's database with so many associations; a copy of it is used."""
        file = self.folder / f"{size}.sqlite"
        if not file.exists():
            part = self.folder / f"{size}.part.sqlite"
            for old in self.folder.glob(f"{size}.part.sqlite*"):
                old.unlink()
            self.import_into(f"sqlite:{part}", size)
            with contextlib.closing(sqlite3.connect(part)) as connection:
                connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            part.rename(file)
        return file

    def copy(self, size, folder):
        """A copy of that database in a folder."""
        file = folder / "sydent.sqlite"
        for old in folder.glob("sydent.sqlite*"):
            old.unlink()
        shutil.copyfile(self.sqlite(size), file)
        # Otherwise the first commit of the server would wait until all of it is on the disk.
        with open(file) as copied:
            os.fsync(copied.fileno())
        return file

    def import_into(self, url, size):
        """Runs the import into that database; returns what it took."""
        source = self.sydent(size)
        say(f"  imports {size:,} associations")
        folder = source.with_suffix(".import")
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        started = time.monotonic()
        child = self.start_import(url, source, folder)
        _, status, usage = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)
        took = time.monotonic() - started
        if child.returncode:
            raise SystemExit(f"the import fails:\n{(folder / 'import.log').read_text()}")
        shutil.rmtree(folder)
        cpu = usage.ru_utime + usage.ru_stime
        return {"size": size, "seconds": took, "cpu_s": cpu, "peak_mb": usage.ru_maxrss / 1024}

    def start_import(self, url, source, folder):
        """Starts an import; the folder gets the files that it writes besides."""
        conf = folder / "sydent.conf"
        conf.write_text(
            f"[general]\nserver.name = {SERVER_NAME}\n"
            "[http]\nclient_http_base = https://id.example.org\n"
            f"[crypto]\ned25519.signingkey = {KEY}\n"
        )
        words = [self.programs.binary, "import", "sydent", "--conf", conf, "--db", source]
        words += ["--out", folder / "sydent.toml", "--database", url]
        with open(folder / "import.log", "w") as log:
            return subprocess.Popen(words, cwd=folder, stdout=log, stderr=log)

    def _fill(self, file, size):
        with contextlib.closing(sqlite3.connect(file)) as connection:
            connection.executescript("PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF;" + SCHEMA)
            connection.execute("INSERT INTO hashing_metadata VALUES (1, ?)", (PEPPER,))
            now = int(time.time() * 1000)
            invite = 1, "email", "invited@example.com", "!room:example.org", user(1), INVITE, now, None
            connection.execute("INSERT INTO invite_tokens VALUES (?, ?, ?, ?, ?, ?, ?, ?)", invite)
            words = [self.programs.helper, "signed", KEY, "0", str(size)]
            with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as signing:
                numbered = enumerate(signing.stdout)
                while chunk := list(itertools.islice(numbered, ROWS)):
                    self._insert(connection, chunk)
                    connection.commit()
            if signing.returncode:
                raise SystemExit("the associations cannot be signed")

    @staticmethod
    def _insert(connection, chunk):
        bindings, accounts, tokens, sessions = [], [], [], []
        now = int(time.time() * 1000)
        for number, text in chunk:
            it = json.loads(text)
            hashed = lookup_hash(it["address"])
            times = it["ts"], it["not_before"], it["not_after"]
            common = it["medium"], it["address"], it["mxid"], *times
            bindings.append((*common, SERVER_NAME, number + 1, text.strip(), hashed))
            accounts.append((it["mxid"], it["ts"], None))
            tokens.append((token(number), it["mxid"]))
            if number % ASSOCIATIONS_PER_SESSION == 0:
                secret = f"secret{number}"
                sessions.append((number + 1, it["medium"], f"s{it['address']}", secret, 1, now))

        def insert(table, columns, rows):
            marks = ", ".join("?" for _ in columns.split(","))
            connection.executemany(f"INSERT INTO {table} ({columns}) VALUES ({marks})", rows)

        common = "medium, address, mxid, ts, notBefore, notAfter"
        more = "originServer, originId, sgAssoc, lookup_hash"
        insert("global_threepid_associations", f"{common}, {more}", bindings)
        local = [(*row[:6], row[9]) for row in bindings]
        insert("local_threepid_associations", f"{common}, lookup_hash", local)
        insert("accounts", "user_id, created_ts, consent_version", accounts)
        insert("tokens", "token, user_id", tokens)
        columns = "id, medium, address, clientSecret, validated, mtime"
        insert("threepid_validation_sessions", columns, sessions)
        tokens = [(row[0], "token", 1) for row in sessions]
        insert("threepid_token_auths", "validationSession, token, sendAttemptNumber", tokens)
