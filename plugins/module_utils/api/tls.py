# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""HTTPS with client certificates, by the standard library. A key never touches a disk."""

from __future__ import annotations

import base64
import http.client
import os
import re
import ssl
import tempfile
import threading

ANSWER_LIMIT = 256 << 20
# A small board or an emulated machine takes seconds for an answer; taken for silent, its cluster would count as half-made.
TIMEOUT = 10


def ask(sessions, server, method, path, accept, body):
    """(status, text); the connection of a server (one per thread) is kept in `sessions` for the next question."""
    key = (threading.get_ident(), server["address"], server["port"], server.get("kubeconfig"))
    try:
        if key not in sessions:
            sessions[key] = http.client.HTTPSConnection(
                server["address"], server["port"], timeout=TIMEOUT, context=context(server)
            )
        connection = sessions[key]
        connection.request(method, path, body=body, headers={"Accept": accept, "Content-Type": "application/json"})
        answer = connection.getresponse()
        return answer.status, answer.read(ANSWER_LIMIT).decode("utf-8", "replace")
    except (OSError, http.client.HTTPException) as error:
        sessions.pop(key, None)
        raise OSError(
            "%s: %s" % (type(error).__name__, error) if isinstance(error, http.client.HTTPException) else str(error)
        ) from None


def context(server):
    """TLS that trusts the cluster's own authority alone.

    The name is not compared: the own address is asked, which need not stand in the certificate.
    """
    if not server.get("kubeconfig"):
        made = ssl.create_default_context(cafile=server["ca"])
        made.check_hostname = False
        made.load_cert_chain(server["certificate"], server["key"])
        return made
    with open(server["kubeconfig"], encoding="utf-8", errors="replace") as stream:
        parts = credentials(stream.read())
    made = ssl.create_default_context(cadata=parts["certificate-authority"].decode("ascii", "replace"))
    made.check_hostname = False
    with MemoryFile(parts["client-certificate"] + b"\n" + parts["client-key"]) as name:
        made.load_cert_chain(name)
    return made


def credentials(text):
    """The three things that a kubeconfig holds of TLS, as bytes; OSError when one is missing or damaged."""
    parts = {}
    for name in ("certificate-authority", "client-certificate", "client-key"):
        found = re.search(r"\b%s-data:\s*[\"']?([A-Za-z0-9+/=]+)" % name, text)
        if not found:
            raise OSError("the kubeconfig has no %s-data" % name)
        try:
            parts[name] = base64.b64decode(found.group(1))
        except ValueError:
            raise OSError("the kubeconfig's %s-data is damaged" % name) from None
    return parts


class MemoryFile:
    """A file in memory alone, with a name: memfd where there is one, else /dev/shm with mode 0600."""

    def __init__(self, content):
        self.content = content

    def __enter__(self):
        self.path = None
        try:
            self.handle = os.memfd_create("kubewright")
        except (AttributeError, OSError):
            self.handle, self.path = tempfile.mkstemp(dir="/dev/shm")
        os.write(self.handle, self.content)
        return self.path or "/proc/self/fd/%d" % self.handle

    def __exit__(self, *_details):
        os.close(self.handle)
        if self.path:
            os.unlink(self.path)
