"""A door before a server that speaks Kafka in clear and asks nobody who he is: TLS, and SASL (PLAIN
and SCRAM-SHA-256). Whoever has said who he is is led through; the server must tell its clients the
door's address and not its own.

    kafka_door.py PORT UPSTREAM_PORT CERTIFICATE KEY USER PASSWORD
"""

import asyncio
import base64
import hashlib
import hmac
import os
import ssl
import struct
import sys

PORT, UPSTREAM = int(sys.argv[1]), int(sys.argv[2])
CERTIFICATE, KEY = sys.argv[3], sys.argv[4]
USER, PASSWORD = sys.argv[5], sys.argv[6].encode()
HANDSHAKE, API_VERSIONS, AUTHENTICATE = 17, 18, 36
MECHANISMS = ["PLAIN", "SCRAM-SHA-256"]
UNSUPPORTED, REFUSED = 33, 58
ROUNDS = 4096


def text(value):
    return struct.pack(">h", len(value)) + value.encode()


async def frame(reader):
    size = struct.unpack(">i", await reader.readexactly(4))[0]
    return await reader.readexactly(size)


def body_of(request):
    """What follows the header: key, version, number, and the client's name."""
    name = struct.unpack(">h", request[8:10])[0]
    return request[10 + max(name, 0):]


class Scram:
    """The server's side of RFC 5802 with SHA-256."""

    def __init__(self):
        self.salt, self.first, self.nonce = os.urandom(16), None, None
        self.salted = hashlib.pbkdf2_hmac("sha256", PASSWORD, self.salt, ROUNDS)

    def step(self, said):
        fields = dict(part.split("=", 1) for part in said.decode().split(",") if "=" in part)
        if self.first is None:
            if fields["n"] != USER:
                return None, False
            client = said.decode().split(",", 2)[2]
            self.nonce = fields["r"] + base64.b64encode(os.urandom(12)).decode()
            salt = base64.b64encode(self.salt).decode()
            answer = f"r={self.nonce},s={salt},i={ROUNDS}"
            self.first = f"{client},{answer}"
            return answer.encode(), False
        without = said.decode().rsplit(",p=", 1)[0]
        whole = f"{self.first},{without}".encode()
        sign = lambda key, what: hmac.new(key, what, "sha256").digest()
        client = sign(self.salted, b"Client Key")
        signature = sign(hashlib.sha256(client).digest(), whole)
        proof = bytes(a ^ b for a, b in zip(client, signature))
        given = base64.b64decode(fields["p"])
        if fields["r"] != self.nonce or not hmac.compare_digest(proof, given):
            return None, False
        server = sign(sign(self.salted, b"Server Key"), whole)
        return b"v=" + base64.b64encode(server), True


class Plain:
    """RFC 4616."""

    def step(self, said):
        right = said == b"\0" + USER.encode() + b"\0" + PASSWORD
        return (b"" if right else None), right


async def known(reader, writer, up_reader, up_writer):
    """Asks who it is; true when that was proved."""
    how = None
    while True:
        request = await frame(reader)
        key, version, number = struct.unpack(">hhi", request[:8])
        if key == API_VERSIONS:
            up_writer.write(struct.pack(">i", len(request)) + request)
            answer = await frame(up_reader)
        elif key == HANDSHAKE:
            said = body_of(request)
            name = said[2:2 + struct.unpack(">h", said[:2])[0]].decode()
            how = {"PLAIN": Plain, "SCRAM-SHA-256": Scram}.get(name)
            how = how and how()
            error = 0 if how else UNSUPPORTED
            names = b"".join(text(name) for name in MECHANISMS)
            answer = struct.pack(">ihi", number, error, len(MECHANISMS)) + names
        elif key == AUTHENTICATE and how and version < 2:
            said = body_of(request)[4:]
            reply, done = how.step(said)
            if reply is None:
                answer = struct.pack(">ih", number, REFUSED) + text("who are you") + b"\0\0\0\0"
            else:
                answer = struct.pack(">ihhi", number, 0, -1, len(reply)) + reply
            answer += struct.pack(">q", 0) if version == 1 else b""
            writer.write(struct.pack(">i", len(answer)) + answer)
            await writer.drain()
            if reply is None:
                return False
            if done:
                return True
            continue
        else:
            return False
        writer.write(struct.pack(">i", len(answer)) + answer)
        await writer.drain()


async def pipe(reader, writer):
    while piece := await reader.read(65536):
        writer.write(piece)
        await writer.drain()
    writer.close()


async def client(reader, writer):
    up_reader, up_writer = await asyncio.open_connection("127.0.0.1", UPSTREAM)
    try:
        if await known(reader, writer, up_reader, up_writer):
            await asyncio.gather(pipe(reader, up_writer), pipe(up_reader, writer))
    except (OSError, asyncio.IncompleteReadError, KeyError, ValueError):
        pass
    finally:
        writer.close()
        up_writer.close()


async def main():
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(CERTIFICATE, KEY)
    server = await asyncio.start_server(client, "127.0.0.1", PORT, ssl=context)
    async with server:
        await server.serve_forever()


asyncio.run(main())
