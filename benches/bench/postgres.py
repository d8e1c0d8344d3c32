"""Databases on the temporary PostgreSQL server of `tests/tools/with-postgres`."""

import os
import subprocess
import sys

from .tools import ROOT

WITH_POSTGRES = ROOT / "tests/tools/with-postgres"


def enter():
    """Goes on inside of `with-postgres`, with the durability of a real server."""
    if "TEST_DATABASE_URL" not in os.environ:
        words = [str(WITH_POSTGRES), "--durable", sys.executable, *sys.argv]
        os.execv(words[0], words)


def fill(data, size):
    """A new database with so many associations; returns its URL."""
    base = os.environ["TEST_DATABASE_URL"]
    name = f"bench_{size}"
    programs = subprocess.run([WITH_POSTGRES, "--find"], check=True, stdout=subprocess.PIPE, text=True)
    psql = [f"{programs.stdout.strip()}/psql", "--quiet", base]
    for statement in (f"DROP DATABASE IF EXISTS {name}", f"CREATE DATABASE {name}"):
        subprocess.run([*psql, "-c", statement], check=True, stderr=subprocess.DEVNULL)
    url = base.rpartition("/")[0] + f"/{name}"
    data.import_into(url, size)
    return url
