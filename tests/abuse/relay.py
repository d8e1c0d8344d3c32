"""An SMTP relay on loopback that takes every message, or refuses every recipient."""

import socketserver
import threading
import time


class _Handler(socketserver.StreamRequestHandler):
    def handle(self):
        relay = self.server.relay
        self._reply("220 relay.example ESMTP")
        while line := self.rfile.readline():
            verb = line.split(b" ")[0].strip().upper()
            if verb == b"EHLO":
                self._reply("250 relay.example")
            elif verb == b"RCPT":
                time.sleep(relay.delay)
                self._reply(relay.recipient_reply)
            elif verb == b"DATA":
                self._reply("354 go on")
                message = b""
                while not message.endswith(b"\r\n.\r\n"):
                    message += self.rfile.readline()
                relay.messages.append(message)
                self._reply("250 ok")
            elif verb == b"QUIT":
                return self._reply("221 bye")
            else:
                self._reply("250 ok")

    def _reply(self, text):
        self.wfile.write(text.encode() + b"\r\n")


class _Server(socketserver.ThreadingTCPServer):
    daemon_threads = True
    allow_reuse_address = True

    def handle_error(self, *_):
        pass


class Relay:
    """A relay. `messages` has what it took; `recipient_reply` is its reply to RCPT. Use it with `with`."""

    def __init__(self, recipient_reply="250 ok", delay=0.0):
        self.recipient_reply = recipient_reply
        self.delay = delay
        self.messages = []

    def __enter__(self):
        self._server = _Server(("127.0.0.1", 0), _Handler)
        self._server.relay = self
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_):
        self._server.shutdown()
        self._server.server_close()

    def settings(self):
        """The settings with which a server sends mail through it."""
        port = self._server.server_address[1]
        return {
            "email.transport": '"smtp"',
            "email.from": '"noreply@example.org"',
            "email.smtp.host": '"127.0.0.1"',
            "email.smtp.port": str(port),
            "email.smtp.encryption": '"none"',
        }
