"""An oracle of mailboxes: the relay refuses every recipient, and one client asks 400 times.

Who asks is charged whether or not the mail is sent, and nothing is stored for a session whose sid
nobody got.
"""

import sqlite3
import time

from client import request
from relay import Relay
from server import Server

PATH = "/_matrix/identity/api/v1/validate/email/requestToken"
SENDS = 400


def mail_settings(relay):
    settings = {
        key: value for key, value in relay.settings().items() if key.startswith("email.smtp.")
    }
    return {
        "email.from": '"noreply@example.org"',
        "email.transport": '"smtp"',
        "email.smtp.host": settings["email.smtp.host"],
        "email.smtp.port": settings["email.smtp.port"],
        "email.smtp.encryption": '"none"',
    }


def ask(server, number, **more):
    body = {
        "client_secret": f"secret{number}",
        "email": f"mailbox{number}@victim.example",
        "send_attempt": 1,
        **more,
    }
    return request(server.client, "POST", PATH, body)


def attack(table):
    with Relay("550 5.1.1 no such user") as relay, Server(mail_settings(relay)) as server:
        started = time.monotonic()
        answers = [ask(server, number)[1].get("errcode") for number in range(SENDS)]
        took = time.monotonic() - started
        learned = answers.count("M_EMAIL_SEND_ERROR")
        allowed = 5 + int(took / 300) + 1
        name = f"mailboxes tried by one client in {took:.0f} s"
        table.row(name, learned, f"at most {allowed}", learned <= allowed)
        database = sqlite3.connect(server.folder / "sydent.db")
        rows = database.execute("SELECT COUNT(*) FROM validation_sessions").fetchone()[0]
        database.close()
        table.row("sessions stored for them", rows, "0", rows == 0)
        link = "https://a.example/" + "x" * 3000
        status, answer = ask(server, SENDS, next_link=link)
        table.row("a next_link of 3 KB", status, "400", status == 400)
        refusal = answer.get("errcode")
        table.row("its errcode", refusal, "M_INVALID_PARAM", refusal == "M_INVALID_PARAM")
