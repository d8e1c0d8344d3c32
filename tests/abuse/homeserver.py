"""A homeserver on loopback that confirms every OpenID token, so that an attack has accounts."""

import http.server
import json
import pathlib
import ssl
import threading
import urllib.parse

from client import request

REGISTER = "/_matrix/identity/v2/account/register"
# A key and a certificate that nobody trusts; the attacked server does not verify it.
CERTIFICATE = pathlib.Path(__file__).with_name("homeserver.pem")


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        # The access token is the id of the user whose it is.
        query = urllib.parse.parse_qs(urllib.parse.urlsplit(self.path).query)
        body = json.dumps({"sub": query.get("access_token", [""])[0]}).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


class _TlsServer(http.server.ThreadingHTTPServer):
    daemon_threads = True
    context = None

    def get_request(self):
        wire, address = self.socket.accept()
        return self.context.wrap_socket(wire, server_side=True), address

    def handle_error(self, *_):
        pass


class Homeserver:
    """A homeserver with any number of users, which has all these server names. Use it with `with`."""

    def __init__(self, *names):
        self.names = names or ("hs.example",)

    def __enter__(self):
        self._server = _TlsServer(("127.0.0.1", 0), _Handler)
        self._server.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._server.context.load_cert_chain(CERTIFICATE)
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_):
        self._server.shutdown()
        self._server.server_close()

    def settings(self):
        """The settings with which a server finds it."""
        port = self._server.server_address[1]
        hosts = ", ".join(f'"{name}" = "127.0.0.1:{port}"' for name in self.names)
        return {"federation.verify_certificates": "false", "federation.hosts": f"{{ {hosts} }}"}

    def account(self, server, user, name=None, source="127.0.0.1"):
        """Registers `user` of the homeserver `name`; returns the access token, or None if refused."""
        name = name or self.names[0]
        body = {
            "access_token": f"@{user}:{name}",
            "expires_in": 3600,
            "matrix_server_name": name,
            "token_type": "Bearer",
        }
        _, answer = request(server.client, "POST", REGISTER, body, source=source)
        return answer.get("token")
