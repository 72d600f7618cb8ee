"""A mail server of other people's making (aiosmtpd): it greets, wants STARTTLS and a login, and
prints what it takes, one JSON object a line; first the port.

    smtp.py LIBRARIES CERTIFICATE KEY USER PASSWORD
"""

import json
import socket
import ssl
import sys
from email import message_from_bytes, policy

sys.path.insert(0, sys.argv[1])

from aiosmtpd.controller import Controller  # noqa: E402
from aiosmtpd.smtp import AuthResult  # noqa: E402

CERTIFICATE, KEY, USER, PASSWORD = sys.argv[2:6]


class Keeps:
    async def handle_DATA(self, server, session, envelope):
        mail = message_from_bytes(envelope.content, policy=policy.default)
        told = {
            "encrypted": session.ssl is not None,
            "login": session.authenticated,
            "from": envelope.mail_from,
            "to": envelope.rcpt_tos,
            "id": mail["message-id"],
            "subject": mail["subject"],
            "text": mail.get_content(),
        }
        print(json.dumps(told), flush=True)
        return "250 OK"


def known(server, session, envelope, mechanism, data):
    right = (data.login, data.password) == (USER.encode(), PASSWORD.encode())
    return AuthResult(success=right, handled=right)


context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(CERTIFICATE, KEY)
with socket.socket() as probe:
    probe.bind(("127.0.0.1", 0))
    port = probe.getsockname()[1]
controller = Controller(
    Keeps(), hostname="127.0.0.1", port=port, tls_context=context, require_starttls=True,
    auth_required=True, authenticator=known, ready_timeout=20,
)
controller.start()
print(port, flush=True)
sys.stdin.read()
controller.stop()
