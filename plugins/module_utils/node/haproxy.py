# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Ask this node's API endpoint, HAProxy, through its admin socket. Standard library only.

What is set here lasts until HAProxy is reloaded. https://docs.haproxy.org/2.6/management.html#9.3
"""

from __future__ import annotations

import os
import socket
from typing import List, NamedTuple

SOCKET = "/run/kube-endpoint/haproxy.sock"
BACKEND = "control-planes"
# A bit of srv_admin_state: the server was set to drain.
DRAINED = 0x08
UNCHECKED = "-unchecked"


class Server(NamedTuple):
    """A server of the endpoint. name: the control plane's node name; its unchecked twin has the same."""

    entry: str
    drained: bool

    @property
    def name(self) -> str:
        """Return the node's name."""
        return self.entry[: -len(UNCHECKED)] if self.entry.endswith(UNCHECKED) else self.entry


def exists(path: str = SOCKET) -> bool:
    """Return True if this node has an API endpoint that can be asked."""
    return os.path.exists(path)


def command(text: str, path: str = SOCKET) -> str:
    """Return the answer to a command. Raise OSError."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.settimeout(5)
        connection.connect(path)
        connection.sendall(text.encode() + b"\n")
        parts: List[bytes] = []
        while True:
            part = connection.recv(65536)
            if not part:
                return b"".join(parts).decode("utf-8", "replace").strip()
            parts.append(part)


def servers(path: str = SOCKET) -> List[Server]:
    """Return the servers of the endpoint. Raise OSError."""
    found = []
    for line in command("show servers state %s" % BACKEND, path).splitlines():
        words = line.split()
        if len(words) > 6 and words[1] == BACKEND and words[6].isdigit():
            found.append(Server(words[3], bool(int(words[6]) & DRAINED)))
    return found


def drain(name: str, path: str = SOCKET) -> bool:
    """Send no new connections to a control plane and end those that it has. Return True if that changed. Raise OSError.

    The only control plane is not drained: clients could not go to another one.
    """
    known = servers(path)
    mine = [server for server in known if server.name == name]
    if not mine or all(server.name == name for server in known):
        return False
    for server in mine:
        _set("set server %s/%s state drain" % (BACKEND, server.entry), path)
    for server in mine:
        _set("shutdown sessions server %s/%s" % (BACKEND, server.entry), path)
    return not all(server.drained for server in mine)


def ready(name: str, path: str = SOCKET) -> bool:
    """Let HAProxy use a control plane again, as its checks allow. Return True if that changed. Raise OSError."""
    mine = [server for server in servers(path) if server.name == name and server.drained]
    for server in mine:
        _set("set server %s/%s state ready" % (BACKEND, server.entry), path)
    return bool(mine)


def _set(text: str, path: str) -> None:
    answer = command(text, path)
    if answer:
        raise OSError("HAProxy refuses `%s`: %s" % (text, answer))
