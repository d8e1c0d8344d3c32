"""Strangers with many addresses: a flood of mails to one victim, a victim that is locked out, a
client that hides behind its proxy, and honest people behind one address.

The server is behind a proxy on loopback, so that X-Forwarded-For says who asks.
"""

from attacks.refused_mail import PATH, mail_settings
from client import request
from homeserver import Homeserver
from relay import Relay
from server import Server

V2 = "/_matrix/identity/v2/validate/email/requestToken"
VICTIM = "victim@victim.example"


class Clients:
    """Requests for mails behind the proxy, each with a secret of its own."""

    def __init__(self, server):
        self.server, self.asked = server, 0

    def ask(self, client, address, path=PATH, token=None):
        self.asked += 1
        body = {
            "client_secret": f"secret{self.asked}",
            "email": address,
            "send_attempt": 1,
        }
        headers = {"X-Forwarded-For": client}
        status, _ = request(
            self.server.client, "POST", path, body, token=token, headers=headers
        )
        return status == 200


def attack(table):
    names = ["evil.example", "honest.example"]
    with Relay() as relay, Homeserver(*names) as homeserver:
        settings = mail_settings(relay) | {"http.trusted_proxies": '["127.0.0.1"]'}
        with Server(settings, homeserver=homeserver) as server:
            run(table, server, homeserver)


def run(table, server, homeserver):
    clients = Clients(server)
    owner = homeserver.account(server, "victim", "honest.example")

    sent = sum(
        clients.ask(f"198.51.100.{number}", VICTIM) for number in (1, 2, 3) for _ in range(10)
    )
    table.row("three strangers, ten mails each: sent", sent, "at most 15", sent <= 15)
    is_sent = clients.ask("203.0.113.1", VICTIM)
    table.row("the victim asks afterwards", is_sent, "True", is_sent)
    tags = (f"victim+{number}@victim.example" for number in range(100))
    sent += sum(clients.ask(f"198.51.101.{number}", tag) for number, tag in enumerate(tags))
    table.row("a hundred strangers, tagged addresses: sent", sent, "at most 20", sent <= 20)
    is_sent = clients.ask("203.0.113.1", VICTIM, V2, owner)
    table.row("the victim asks with an account", is_sent, "True", is_sent)

    networks = (f"2001:db8:0:{number:x}::1" for number in range(400))
    sent = sum(clients.ask(client, f"a{clients.asked}@a.example") for client in networks)
    table.row("400 IPv6 /64 of one /48: mails sent", sent, "at most 21", sent <= 21)

    hidden = [f"\xff, 192.0.2.{number}" for number in range(20)]
    sent = sum(clients.ask(client, f"b{clients.asked}@b.example") for client in hidden)
    table.row("20 clients, one byte outside ASCII: mails sent", sent, "20", sent == 20)
    sent = sum(clients.ask(hidden[0], f"c{clients.asked}@c.example") for _ in range(20))
    table.row("one of them, 20 more: mails sent", sent, "at most 4", sent <= 4)

    # Registrations have limits of their own.
    accounts = [
        homeserver.account(server, f"u{number}", "honest.example", source=f"127.0.0.{9 + number % 2}")
        for number in range(25)
    ]
    sent = sum(
        clients.ask("192.0.2.200", f"d{clients.asked}@d.example", V2, token) for token in accounts
    )
    table.row("25 users behind one address: mails sent", sent, "25", sent == 25)
