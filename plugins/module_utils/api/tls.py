# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""HTTPS with client certificates, by the standard library. Private keys are never written to a disk."""

from __future__ import annotations

import base64
import http.client
import json
import os
import re
import ssl
import tempfile
import threading
from typing import Any, Dict

ANSWER_LIMIT = 256 << 20
# What a request raises when there is no usable answer.
NO_ANSWER = (OSError, ValueError, http.client.HTTPException)


class Session:
    """A server that is asked over a kept connection, one per thread. Without a context it speaks plain HTTP."""

    def __init__(self, address: str, port: int, context: ssl.SSLContext | None, timeout: float = 10) -> None:
        self.address, self.port, self.context, self.timeout = address, port, context, timeout
        self._connections: Dict[int, http.client.HTTPConnection] = {}

    def ask(self, method: str, path: str, body: Any = None, accept: str = "application/json") -> tuple[int, str]:
        """Return (status, text) of the answer. A kept connection that was closed meanwhile is replaced once.

        body: text as it is, anything else as JSON. Raise OSError or HTTPException if there is no answer.
        """
        thread = threading.get_ident()
        data = body if body is None or isinstance(body, str) else json.dumps(body)
        # A PATCH is a merge patch: https://kubernetes.io/docs/reference/using-api/api-concepts/#patch-and-apply
        content = "application/merge-patch+json" if method == "PATCH" else "application/json"
        headers = {"Accept": accept, "Content-Type": content}
        while True:
            fresh = thread not in self._connections
            if fresh:
                self._connections[thread] = self._connect()
            connection = self._connections[thread]
            try:
                connection.request(method, path, body=data, headers=headers)
                answer = connection.getresponse()
                return answer.status, _text(answer)
            except NO_ANSWER:
                self._connections.pop(thread).close()
                if fresh:
                    raise

    def _connect(self) -> http.client.HTTPConnection:
        if self.context is None:
            return http.client.HTTPConnection(self.address, self.port, timeout=self.timeout)
        return http.client.HTTPSConnection(self.address, self.port, timeout=self.timeout, context=self.context)

    def close(self) -> None:
        """Close the connections of all threads."""
        for thread in list(self._connections):
            self._connections.pop(thread).close()


def _text(answer: http.client.HTTPResponse) -> str:
    """Read an answer in blocks: read(ANSWER_LIMIT) would reserve that much memory for a chunked answer."""
    blocks, size = [], 0
    while size < ANSWER_LIMIT:
        block = answer.read(1 << 20)
        if not block:
            break
        blocks.append(block)
        size += len(block)
    else:
        raise ValueError("the answer is longer than %d MiB" % (ANSWER_LIMIT >> 20))
    return b"".join(blocks).decode("utf-8", "replace")


def from_files(authority: str, certificate: str, key: str | None = None) -> ssl.SSLContext:
    """Return a context that trusts only this authority and presents this certificate. Raise OSError or ValueError.

    Host names are not compared: nodes are asked at addresses that need not be in the certificate.
    """
    made = ssl.create_default_context(cafile=authority)
    made.check_hostname = False
    made.load_cert_chain(certificate, key)
    return made


def from_kubeconfig(path: str) -> ssl.SSLContext:
    """Return a context with the authority and the client certificate of a kubeconfig. Raise OSError or ValueError."""
    with open(path, encoding="utf-8", errors="replace") as stream:
        parts = credentials(stream.read())
    made = ssl.create_default_context(cadata=parts["certificate-authority"].decode("ascii", "replace"))
    made.check_hostname = False
    with MemoryFile(parts["client-certificate"] + b"\n" + parts["client-key"]) as name:
        made.load_cert_chain(name)
    return made


def credentials(text: str) -> dict[str, bytes]:
    """Return the authority, client certificate and key of a kubeconfig, which holds them or names their files.

    Raise OSError if one is missing or damaged.
    """
    parts = {}
    for name in ("certificate-authority", "client-certificate", "client-key"):
        found = re.search(r"\b%s(-data)?:\s*[\"']?([^\s\"']+)" % name, text)
        if not found:
            raise OSError("the kubeconfig has no %s-data" % name)
        value = found.group(2)
        try:
            parts[name] = base64.b64decode(value, validate=True) if found.group(1) else _content(value)
        except ValueError:
            raise OSError("the kubeconfig's %s-data is damaged" % name) from None
    return parts


def _content(path: str) -> bytes:
    with open(path, "rb") as stream:
        return stream.read()


class MemoryFile:
    """A file with a name that exists only in memory: memfd, or /dev/shm with mode 0600 if the kernel has no memfd.

    Nothing of it is left, whatever ends this process. inherited: programs that this process starts can read it too.
    """

    def __init__(self, content: bytes, inherited: bool = False) -> None:
        self.content, self.inherited = content, inherited

    def __enter__(self) -> str:
        self.path = None
        try:
            self.handle = os.memfd_create("kubewright")
        except (AttributeError, OSError):
            self.handle, self.path = tempfile.mkstemp(dir="/dev/shm")
        os.fchmod(self.handle, 0o600)
        os.set_inheritable(self.handle, self.inherited)
        os.write(self.handle, self.content)
        return self.path or "/proc/self/fd/%d" % self.handle

    def __exit__(self, *_details: object) -> None:
        os.close(self.handle)
        if self.path:
            os.unlink(self.path)
