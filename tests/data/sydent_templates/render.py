"""Renders the brands of this folder with the real Sydent and writes what it sends to `expected/`.

    pip install matrix-sydent==2.6.1 && python render.py

Sydent's own functions choose the files and fill them; only the mail relay, the clock and the
random values are replaced. `sydent` in this script is that package.
"""

import json
import pathlib
import smtplib
import types

from jinja2 import FileSystemLoader
from jinja2.environment import Environment

import sydent.util.emailutils as emailutils
from sydent.sydent import Sydent

HERE = pathlib.Path(__file__).parent
BRANDS = HERE / "brands"
OUT = HERE / "expected"

sent = []


class Relay:
    def __init__(self, *_):
        pass

    def sendmail(self, _sender, _recipient, message):
        sent.append(message)

    def quit(self):
        pass


smtplib.SMTP = Relay
emailutils.time_msec = lambda: 1790000000000
emailutils.random = types.SimpleNamespace(choice=lambda letters: letters[0])
emailutils.generateAlphanumericTokenOfLength = lambda length: "B" * length
emailutils.email.utils.formatdate = lambda localtime: "Mon, 21 Sep 2026 14:13:20 -0000"
# Addresses that Sydent refuses are no matter of templates.
emailutils.check_valid_email_address = lambda *_, **__: None

general = types.SimpleNamespace(
    templates_path=str(BRANDS),
    valid_brands={"new", "old"},
    default_brand="old",
    template_environment=Environment(loader=FileSystemLoader(BRANDS), autoescape=True),
)
email = types.SimpleNamespace(
    host_name="id.example.org",
    smtp_server="localhost",
    smtp_port="25",
    smtp_username="",
    smtp_password="",
    tls_mode="0",
    sender="",
)
server = types.SimpleNamespace(config=types.SimpleNamespace(general=general, email=email))

FILES = {
    "verification": "verification_template.eml",
    "invite": "invite_template.eml",
    "page": "verify_response_template.html",
}

OUT.mkdir(exist_ok=True)
for kind, samples in json.loads((HERE / "values.json").read_text()).items():
    for sample, values in samples.items():
        for brand in sorted(general.valid_brands):
            file = Sydent.get_branded_template(server, brand, FILES[kind])
            out = OUT / f"{brand}-{kind}-{sample}.txt"
            if kind == "page":
                out.write_text(open(file).read() % values)
                continue
            email.sender = values["from"]
            rest = {name: value for name, value in values.items() if name not in ("from", "to")}
            emailutils.sendEmail(server, file, values["to"], rest)
            out.write_bytes(sent.pop())
