# An FTP server for the tests of pickup: pyftpdlib, as it was published. Its faults are said by the
# words after PORT, FOLDER and PASSWORD:
#   tls=FILE   TLS before anything else, with this key and certificate
#   cut        the process ends in the middle of a file
#   grow       a file grows while it is sent
import os
import sys

from pyftpdlib.authorizers import DummyAuthorizer
from pyftpdlib.handlers import DTPHandler, FTPHandler, TLS_DTPHandler, TLS_FTPHandler
from pyftpdlib.servers import FTPServer

port, folder, password = int(sys.argv[1]), sys.argv[2], sys.argv[3]
words = sys.argv[4:]
tls = next((word[4:] for word in words if word.startswith("tls=")), None)


class Data(TLS_DTPHandler if tls else DTPHandler):
    def send(self, data):
        sent = super().send(data)
        if "cut" in words and self.tot_bytes_sent > 500_000:
            os._exit(1)
        return sent


class Handler(TLS_FTPHandler if tls else FTPHandler):
    dtp_handler = Data

    def on_file_sent(self, file):
        if "grow" in words:
            with open(file, "ab") as more:
                more.write(b"x")


# The kernel's own way of sending would go past what is counted above.
Handler.use_sendfile = "cut" not in words
authorizer = DummyAuthorizer()
authorizer.add_user("lq", password, folder, perm="elr")
Handler.authorizer = authorizer
if tls:
    Handler.certfile = tls
    Handler.tls_control_required = True
    Handler.tls_data_required = True
FTPServer(("127.0.0.1", port), Handler).serve_forever()
