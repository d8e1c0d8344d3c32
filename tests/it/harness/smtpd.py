"""A real SMTP server for the tests: it keeps what it accepts and misbehaves on request.

    python smtpd.py --dir DIR [--port 0] [--tls none|starttls|implicit --cert FILE --key FILE]
                    [--require-starttls] [--user NAME --password WORD]

It listens on 127.0.0.1 only, prints the one line `ready PORT` once it does, and ends when its
standard input closes, so that it never outlives the test that started it.

Every accepted message becomes DIR/<unix nanoseconds>-<number>.json, which appears whole or not
at all:

    peer            "127.0.0.1:50312"
    mail_from       the envelope's sender
    rcpt_tos        the envelope's recipients
    tls             whether the message came over TLS
    auth_user       the name that logged in on this connection, or null
    connection      the number of the TCP connection, from 1: equal numbers mean reuse
    data_base64     the message byte for byte, after dot-unstuffing and without the final dot
    longest_line    octets of the longest line, its line end not counted
    bare_lf         whether an LF without a CR before it occurs anywhere

A running test changes the behaviour through DIR/behaviour.json, which is read anew for each
command. Write it elsewhere and rename it into place, so that it is never read half-written.

    delay_ms        wait so long at the end of DATA, before the message is stored and answered;
                    a client that hangs up meanwhile has not been served: nothing is stored
    rcpt            answer RCPT so ("550 5.1.1 no such user") instead of accepting it
    data            answer the end of DATA so instead of storing the message
    lose            true: store the message and close the connection without an answer to it
    drop            true: close the connection when DATA comes, without an answer
"""

import argparse
import asyncio
import base64
import itertools
import json
import pathlib
import re
import ssl
import sys
import time
import warnings

from aiosmtpd.smtp import SMTP, AuthResult, LoginPassword

BEHAVIOURS = {"delay_ms", "rcpt", "data", "lose", "drop"}
BARE_LF = re.compile(rb"(?<!\r)\n")
CONNECTIONS = itertools.count(1)
MESSAGES = itertools.count(1)


class Mailbox:
    """The folder in which messages arrive and from which the behaviour is read."""

    def __init__(self, folder):
        self.folder = folder

    def behaviour(self):
        """What the test wants now; a misspelt wish is an error, not a server that behaves."""
        try:
            wishes = json.loads((self.folder / "behaviour.json").read_bytes())
        except FileNotFoundError:
            return {}
        unknown = wishes.keys() - BEHAVIOURS
        if unknown:
            raise ValueError(f"behaviour.json: unknown {sorted(unknown)}")
        return wishes

    def store(self, server, session, envelope):
        data = bytes(envelope.content)
        message = {
            "peer": "{}:{}".format(*session.peer[:2]),
            "mail_from": envelope.mail_from,
            "rcpt_tos": envelope.rcpt_tos,
            "tls": server.transport.get_extra_info("ssl_object") is not None,
            "auth_user": session.auth_data,
            "connection": server.connection,
            "data_base64": base64.b64encode(data).decode("ascii"),
            "longest_line": max(map(len, re.split(rb"\r?\n", data))),
            "bare_lf": BARE_LF.search(data) is not None,
        }
        name = f"{time.time_ns()}-{next(MESSAGES)}.json"
        partial = self.folder / f".{name}.partial"
        partial.write_text(json.dumps(message), encoding="utf-8")
        partial.rename(self.folder / name)

    # aiosmtpd finds its hooks by these names.

    async def handle_RCPT(self, server, session, envelope, address, options):
        refusal = self.behaviour().get("rcpt")
        if refusal:
            return refusal
        envelope.rcpt_tos.append(address)
        envelope.rcpt_options.extend(options)
        return "250 2.1.5 recipient accepted"

    async def handle_DATA(self, server, session, envelope):
        wishes = self.behaviour()
        await asyncio.sleep(wishes.get("delay_ms", 0) / 1000)
        refusal = wishes.get("data")
        if refusal:
            return refusal
        self.store(server, session, envelope)
        if wishes.get("lose"):
            server.transport.close()
        return "250 2.0.0 message accepted"


class Server(SMTP):
    """One connection. aiosmtpd keeps the bytes of DATA as they come, bare LF included."""

    # Without this a line over 1001 octets would be refused; a test wants to see and name it.
    line_length_limit = 1 << 20

    def connection_made(self, transport):
        # STARTTLS calls this a second time for the same TCP connection.
        if not hasattr(self, "connection"):
            self.connection = next(CONNECTIONS)
        super().connection_made(transport)

    async def smtp_DATA(self, arg):
        if self.event_handler.behaviour().get("drop"):
            self.transport.close()
            return
        await super().smtp_DATA(arg)


def authenticator(user, password):
    """Accepts the one account, by PLAIN or LOGIN."""
    expected = LoginPassword(user.encode(), password.encode())

    def authenticate(server, session, envelope, mechanism, given):
        if given == expected:
            return AuthResult(success=True, auth_data=user)
        # Not handled: aiosmtpd then sends its own "535 5.7.8".
        return AuthResult(success=False, handled=False)

    return authenticate


def arguments():
    parser = argparse.ArgumentParser(allow_abbrev=False)
    parser.add_argument("--dir", required=True, type=pathlib.Path)
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--tls", choices=["none", "starttls", "implicit"], default="none")
    parser.add_argument("--cert")
    parser.add_argument("--key")
    parser.add_argument("--require-starttls", action="store_true")
    parser.add_argument("--user")
    parser.add_argument("--password")
    args = parser.parse_args()
    if (args.tls != "none") != bool(args.cert and args.key):
        parser.error("--cert and --key belong to --tls starttls or implicit, and are needed there")
    if args.require_starttls and args.tls != "starttls":
        parser.error("--require-starttls needs --tls starttls")
    if (args.user is None) != (args.password is None):
        parser.error("--user and --password go together")
    return args


async def main():
    args = arguments()
    tls = None
    if args.tls != "none":
        tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        tls.load_cert_chain(args.cert, args.key)
    options = {
        # A fixed name: the default asks DNS for this machine's.
        "hostname": "localhost",
        "enable_SMTPUTF8": True,
        "data_size_limit": None,
    }
    if args.tls == "starttls":
        options |= {"tls_context": tls, "require_starttls": args.require_starttls}
    if args.user is not None:
        options |= {
            "authenticator": authenticator(args.user, args.password),
            "auth_required": True,
            # aiosmtpd takes only STARTTLS for TLS, so under implicit TLS this has to be off.
            "auth_require_tls": args.tls == "starttls",
        }
    # It warns of logins without TLS, which a test wants on purpose here.
    warnings.filterwarnings("ignore", message="Requiring AUTH")
    mailbox = Mailbox(args.dir)
    loop = asyncio.get_running_loop()
    listener = await loop.create_server(
        lambda: Server(mailbox, loop=loop, **options),
        "127.0.0.1",
        args.port,
        ssl=tls if args.tls == "implicit" else None,
    )
    print("ready", listener.sockets[0].getsockname()[1], flush=True)
    # The thread waits for end of file; leaving then drops every open connection.
    await asyncio.to_thread(sys.stdin.buffer.read)


if __name__ == "__main__":
    asyncio.run(main())
