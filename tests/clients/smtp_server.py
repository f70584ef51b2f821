"""A real mail server for tests: TLS, login, and every mail kept as it came.

    python smtp_server.py FOLDER starttls|implicit|plain [CERTIFICATE KEY]

Prints its port, then takes mail until its standard input ends. Login is `evenkeel` with `hush-hush`, asked for unless it is
`plain`. A mail is FOLDER/N.json: who it is from, to whom it was handed, and its whole text. While FOLDER/refuse is there, every
mail is refused with the reply that stands in it, such as `451 later`.
"""

import asyncio
import json
import ssl
import sys
from pathlib import Path

from aiosmtpd.smtp import SMTP, AuthResult, LoginPassword


class Kept:
    def __init__(self, folder):
        self.folder, self.count = folder, 0

    async def handle_DATA(self, server, session, envelope):  # noqa: N802 (its library calls it so)
        refuse = self.folder / "refuse"
        if refuse.exists():
            with (self.folder / "refused").open("a") as refused:
                refused.write("refused\n")
            return refuse.read_text().strip()
        mail = {
            "from": envelope.mail_from,
            "to": envelope.rcpt_tos,
            "text": envelope.content.decode("utf-8", "replace"),
            "login": getattr(session.auth_data, "login", b"").decode(),
            "tls": session.ssl is not None or server.transport.get_extra_info("ssl_object") is not None,
        }
        beside = self.folder / f"{self.count}.new"
        beside.write_text(json.dumps(mail))
        beside.rename(self.folder / f"{self.count}.json")
        self.count += 1
        return "250 kept"


def login(_server, _session, _envelope, _mechanism, told):
    good = isinstance(told, LoginPassword) and (told.login, told.password) == (b"evenkeel", b"hush-hush")
    return AuthResult(success=good, auth_data=told if good else None, handled=good)


async def main(folder, mode, *files):
    context = None
    if files:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*files)
    kept = Kept(Path(folder))
    secure = mode != "plain"

    def serve():
        starttls = {"tls_context": context, "require_starttls": True} if mode == "starttls" else {}
        # Without STARTTLS of its own it does not see that the connection is encrypted already.
        required = {"authenticator": login, "auth_required": True, "auth_require_tls": mode == "starttls"} if secure else {}
        return SMTP(kept, hostname="mail.test", **starttls, **required)

    loop = asyncio.get_running_loop()
    server = await loop.create_server(serve, "127.0.0.1", 0, ssl=context if mode == "implicit" else None)
    print(server.sockets[0].getsockname()[1], flush=True)
    await loop.run_in_executor(None, sys.stdin.read)
    server.close()


asyncio.run(main(*sys.argv[1:]))
