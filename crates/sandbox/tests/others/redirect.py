"""Leads WeChat's names to the sandbox: what a hosts file does, with a port of one's own. The client
itself is as it was published, and proves the name by TLS."""

import os
import socket

_look_up = socket.getaddrinfo


def getaddrinfo(host, port, *rest, **named):
    if host == "api.mch.weixin.qq.com":
        host, port = "127.0.0.1", int(os.environ["SANDBOX_TLS_PORT"])
    return _look_up(host, port, *rest, **named)


socket.getaddrinfo = getaddrinfo
