"""Files of requests for the load generators, and of the same entries for the SQL loops."""

import itertools
import json
import random

from . import data

V1 = "/_matrix/identity/api/v1"
V2 = "/_matrix/identity/v2"
# So many different requests of a workload: more than the caches of SQLite hold.
VARIANTS = 50_000
# At most so many hashes in all files of one workload, since the generators keep them in memory.
MAX_HASHES = 320_000


# So many clients send the requests of one workload, as behind a reverse proxy. A single one has only
# a share of what the server does at a time.
CLIENTS = 1000
clients = itertools.cycle(f"198.18.{number // 250}.{number % 250}" for number in range(CLIENTS))


def head(method, path):
    """The head of a request up to the headers of its body."""
    return f"{method} {path} HTTP/1.1\r\nhost: localhost\r\nx-forwarded-for: {next(clients)}\r\n"


def get(path):
    """A request as it is on the wire."""
    return f"{head('GET', path)}\r\n".encode()


def post(path, body, number=None):
    """The same with a body, by the user with that number."""
    body = body if isinstance(body, str) else json.dumps(body, separators=(",", ":"))
    access = "" if number is None else f"authorization: Bearer {data.token(number)}\r\n"
    return (
        f"{head('POST', path)}{access}content-type: application/json\r\n"
        f"content-length: {len(body)}\r\n\r\n{body}"
    ).encode()


class Requests:
    """Requests of one workload: `wire` for the load generators, `entries` for the SQL loop."""

    def __init__(self, folder, name, size):
        self.name, self.size = name, size
        self.random = random.Random(f"{name} {size}")
        self.wire = folder / f"{name}-{size}.requests"
        self.entries = folder / f"{name}-{size}.entries"
        # How many addresses each request has.
        self.count = 1

    def write(self, make):
        """Writes what `make` returns, requests and entries, unless the files exist already."""
        if self.entries.exists():
            return self
        requests, entries = make(self)
        with open(self.wire, "wb") as file:
            for request in requests:
                file.write(b"%d\n%s" % (len(request), request))
        self.entries.write_text("".join(" ".join(line) + "\n" for line in entries))
        return self

    def first(self):
        """The first request."""
        with open(self.wire, "rb") as file:
            return file.read(int(file.readline()))

    def numbers(self, count):
        """Numbers of associations, at random."""
        return [self.random.randrange(self.size) for _ in range(count)]


def v1_lookup(folder, size, hit):
    """v1 look-ups of addresses that are bound, or of ones that are not."""
    path = f"{V1}/lookup?medium=email&address="

    def make(requests):
        found = [data.address(number) for number in requests.numbers(VARIANTS)]
        addresses = found if hit else [f"no{address}" for address in found]
        return [get(path + address) for address in addresses], ([one] for one in addresses)

    return Requests(folder, f"v1_lookup_{'hit' if hit else 'miss'}", size).write(make)


def v2_lookup(folder, size, count):
    """v2 look-ups of so many hashes, nine of ten of them unknown, as those of an address book."""

    def make(requests):
        wire, entries = [], []
        for _ in range(min(VARIANTS // 2, MAX_HASHES // count)):
            numbers = requests.numbers(count)
            hashes = [
                data.lookup_hash(("" if place % 10 == 0 else "no") + data.address(number))
                for place, number in enumerate(numbers)
            ]
            body = {"algorithm": "sha256", "pepper": data.PEPPER, "addresses": hashes}
            wire.append(post(f"{V2}/lookup", body, numbers[0]))
            entries.append(hashes)
        return wire, entries

    return Requests(folder, f"v2_lookup_{count}", size).write(make)


def bulk_lookup(folder, size, count):
    """v1 look-ups of so many addresses, half of them bound."""

    def make(requests):
        wire, entries = [], []
        for _ in range(2000):
            addresses = [
                ("" if place % 2 else "no") + data.address(number)
                for place, number in enumerate(requests.numbers(count))
            ]
            body = {"threepids": [["email", address] for address in addresses]}
            wire.append(post(f"{V1}/bulk_lookup", body))
            entries.append(addresses)
        return wire, entries

    return Requests(folder, f"bulk_lookup_{count}", size).write(make)


def pubkey(folder, size):
    """The public key."""
    return Requests(folder, "pubkey", size).write(
        lambda _: ([get(f"{V2}/pubkey/ed25519:0") for _ in range(CLIENTS)], [])
    )


def sign(folder, size):
    """Signatures with a key that the client sends, for the token of an invitation."""
    fields = {"mxid": data.user(1), "token": data.INVITE, "private_key": data.KEY.split()[-1]}
    path = f"{V1}/sign-ed25519"
    return Requests(folder, "sign_ed25519", size).write(
        lambda _: ([post(path, fields) for _ in range(CLIENTS)], [])
    )


def request_token(folder, size):
    """Requests for a token, each for an address of its own."""
    body = '{"client_secret":"sNNNNNNNNNNNNN","email":"mNNNNNNNNNNNNN@example.com","send_attempt":1}'
    path = f"{V2}/validate/email/requestToken"
    return Requests(folder, "request_token", size).write(
        lambda it: ([post(path, body, number) for number in it.numbers(1000)], [])
    )


def mixed(folder, size):
    """The look-ups of a mixed day: by address, and of few and of many hashes."""
    parts = [v1_lookup(folder, size, True), v2_lookup(folder, size, 1), v2_lookup(folder, size, 100)]
    shares = [6000, 3000, 1000]

    def make(_):
        split = [split_file(part.wire) for part in parts]
        return [one[at] for one, share in zip(split, shares) for at in range(share)], []

    return Requests(folder, "mixed", size).write(make)


def split_file(file):
    """The requests in a file."""
    found = []
    with open(file, "rb") as stream:
        while head := stream.readline():
            found.append(stream.read(int(head)))
    return found
