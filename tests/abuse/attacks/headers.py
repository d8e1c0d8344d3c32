"""Headers whose parsing would take long."""

from client import cpu_seconds, request
from server import Server

UNBIND = "/_matrix/identity/v2/3pid/unbind"
PING = "/_matrix/identity/v2"
REQUESTS = 20
BODY = {"mxid": "@a:example.org", "threepid": {"medium": "email", "address": "a@example.org"}}


def attack(table):
    many = "X-Matrix " + ",".join(f"a{number}=1" for number in range(12_000))
    hops = ", ".join(["127.0.0.1"] * 10_000)
    with Server({"http.trusted_proxies": '["127.0.0.0/8"]'}) as server:
        for name, method, path, headers in [
            ("X-Matrix of 120 KB", "POST", UNBIND, {"Authorization": many[:120_000]}),
            ("X-Matrix of 120 KB of commas", "POST", UNBIND, {"Authorization": "X-Matrix " + "," * 119_000}),
            ("X-Forwarded-For of 110 KB", "GET", PING, {"X-Forwarded-For": hops}),
            ("query of 20,000 names", "GET", PING + "?" + "&".join(f"a{n}" for n in range(12_000)), {}),
        ]:
            body = BODY if method == "POST" else None
            before, statuses = cpu_seconds(server.pid), []
            for _ in range(REQUESTS):
                statuses.append(request(server.client, method, path, body, headers=headers)[0])
            each = (cpu_seconds(server.pid) - before) * 1000 / REQUESTS
            label = f"{name}: CPU of a request"
            ok = each < 10 and all(status != 0 for status in statuses)
            table.row(label, f"{each:.1f} ms ({statuses[-1]})", "below 10 ms", ok)
