# An SFTP server for the tests of pickup that takes a password, which OpenSSH does for users of the
# system alone: asyncssh, as it was published. Its faults are said by the words after PORT, FOLDER,
# PASSWORD and the file with its host key:
#   cut    the process ends in the middle of a file
#   grow   a file grows while it is read
import asyncio
import os
import sys

import asyncssh

port, folder, password, key = int(sys.argv[1]), sys.argv[2], sys.argv[3], sys.argv[4]
words = sys.argv[5:]


class Server(asyncssh.SSHServer):
    def password_auth_supported(self):
        return True

    def validate_password(self, username, given):
        return username == "lq" and given == password


class Files(asyncssh.SFTPServer):
    def __init__(self, channel):
        super().__init__(channel, chroot=folder)
        self.read_bytes = 0
        self.grown = False

    def read(self, file, offset, size):
        data = super().read(file, offset, size)
        self.read_bytes += len(data)
        if "cut" in words and self.read_bytes > 500_000:
            os._exit(1)
        if "grow" in words and self.read_bytes > 500_000 and not self.grown:
            self.grown = True
            with open(os.path.join(folder, "b.gz"), "ab") as more:
                more.write(b"x")
        return data


async def serve():
    await asyncssh.create_server(
        Server, "127.0.0.1", port, server_host_keys=[key], sftp_factory=Files
    )
    await asyncio.Event().wait()


asyncio.run(serve())
