"""Guesses at SMS codes: the gateway refuses the SMS after the client heard that it is on its way.

Such a refusal must not give back what the SMS was charged, or each session allows five more guesses.
"""

import http.server
import threading
import time

from client import request
from server import Server

PATH = "/_matrix/identity/api/v1/validate/msisdn"
SECONDS = 20
REFUSED_AFTER = 2


class _Gateway(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        time.sleep(REFUSED_AFTER)
        self.send_response(422)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_):
        pass


def settings(port):
    provider = "sms.providers.main."
    return {
        provider + "kind": '"gateway"',
        provider + "url": f'"http://127.0.0.1:{port}/send"',
        provider + "body": """'{"to": "{to}", "from": "{from}", "text": "{text}"}'""",
        "sms.originators.default": '["alpha:Example"]',
        "delivery.answer_within": '"1s"',
    }


def attack(table):
    gateway = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Gateway)
    gateway.daemon_threads = True
    threading.Thread(target=gateway.serve_forever, daemon=True).start()
    try:
        with Server(settings(gateway.server_address[1])) as server:
            guess(table, server)
    finally:
        gateway.shutdown()
        gateway.server_close()


def guess(table, server):
    end, lock, guesses, sessions = time.monotonic() + SECONDS, threading.Lock(), [0], [0]

    def loop(thread):
        attempt = 0
        while time.monotonic() < end:
            attempt += 1
            secret = f"secret-{thread}-{attempt}"
            body = {
                "client_secret": secret,
                "country": "GB",
                "phone_number": "07700900001",
                "send_attempt": 1,
            }
            status, answer = request(server.client, "POST", f"{PATH}/requestToken", body)
            if status != 200:
                time.sleep(0.5)
                continue
            with lock:
                sessions[0] += 1
            for number in range(5):
                body = {
                    "sid": answer["sid"],
                    "client_secret": secret,
                    "token": f"{number:06}",
                }
                _, refusal = request(server.client, "POST", f"{PATH}/submitToken", body)
                with lock:
                    guesses[0] += refusal.get("errcode") == "M_TOKEN_INCORRECT"
            # Until the gateway has refused it.
            time.sleep(REFUSED_AFTER)

    threads = [threading.Thread(target=loop, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    table.row(f"sessions for one number in {SECONDS} s", sessions[0], "at most 5", sessions[0] <= 5)
    table.row("codes tried", guesses[0], "at most 25", guesses[0] <= 25)
