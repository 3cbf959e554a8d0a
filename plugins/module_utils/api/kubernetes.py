# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A small client of the Kubernetes API with client certificates. Standard library only."""

from __future__ import annotations

import http.client
import json
import os
import re
import time
from typing import Any, List, Sequence, Tuple
from urllib.parse import urlsplit

from ..base.text_files import read_text
from ..node import paths
from . import tls

# Statuses that pass: https://kubernetes.io/docs/concepts/cluster-administration/flow-control/
BUSY = (429, 500, 502, 503, 504)
Server = Tuple[str, int]


class ApiError(Exception):
    """The API did not answer, or refused; the message says which request and why. status: of the answer, if any."""

    def __init__(self, message: str, status: int | None = None) -> None:
        super().__init__(message)
        self.status = status


def local_server(manifest: str = paths.API_SERVER_MANIFEST) -> Server | None:
    """Return (address, port) of this control plane's own API server, None if the node has none."""
    text = read_text(manifest)
    if not text:
        return paths.K3s().api_server()
    address = re.search(r"--advertise-address=(\S+)", text)
    port = re.search(r"--secure-port=(\d+)", text)
    return address.group(1) if address else "127.0.0.1", int(port.group(1)) if port else paths.API_PORT


def server_in(kubeconfig: str) -> Server | None:
    """Return (address, port) of the API server that a kubeconfig names, None if it names none."""
    found = re.search(r"^\s*server:\s*[\"']?([^\s\"']+)", read_text(kubeconfig), re.M)
    parts = urlsplit(found.group(1)) if found else None
    return (parts.hostname, parts.port or 443) if parts and parts.hostname else None


class Api:
    """The API of one cluster. The first server is asked, and the next one if it does not answer."""

    def __init__(
        self,
        servers: Sequence[Server | None],
        kubeconfig: str | None = None,
        timeout: float = 10,
        patience: float = 10,
        context: Any = None,
    ) -> None:
        """Raise ApiError if none of the kubeconfigs can be used.

        kubeconfig: the file with the certificate to use, the administrator's by default. context: replaces it.
        timeout: seconds for one answer. patience: seconds in which a busy or silent API is asked again.
        """
        self.patience = patience
        if context is None:
            kubeconfig = kubeconfig or paths.admin()
            if not os.path.exists(kubeconfig):
                raise ApiError("%s is missing: this is not a control plane of a running cluster" % kubeconfig)
            try:
                context = tls.from_kubeconfig(kubeconfig)
            except (OSError, ValueError) as error:
                raise ApiError("%s: %s" % (kubeconfig, error)) from None
        known = dict.fromkeys(server for server in servers if server)
        self.sessions: List[tls.Session] = [tls.Session(*server, context, timeout) for server in known]

    def get(self, path: str, missing_ok: bool = False) -> Any:
        """Return the answer as a map; None for 404 with missing_ok."""
        return self.call("GET", path, missing_ok=missing_ok)

    def create(self, path: str, body: dict[str, Any]) -> Any:
        """Make an object. It is fine if it exists already: an earlier answer may have been lost."""
        try:
            return self.call("POST", path, body)
        except ApiError as error:
            if error.status == 409:
                return body
            raise

    def delete(self, path: str) -> Any:
        """Delete an object and, in the background, what belongs to it. Return None if it did not exist."""
        return self.call("DELETE", path + "?propagationPolicy=Background&gracePeriodSeconds=0", missing_ok=True)

    def call(self, method: str, path: str, body: Any = None, missing_ok: bool = False) -> Any:
        """Return the answer as a map. Raise ApiError."""
        status, text = self.ask(method, path, body)
        if status == 404 and missing_ok:
            return None
        if status >= 300:
            raise ApiError("%s %s: %s" % (method, path.partition("?")[0], reason(status, text)), status)
        try:
            return json.loads(text)
        except ValueError:
            raise ApiError("%s %s: the answer is not JSON: %s" % (method, path, text[:200])) from None

    def ask(self, method: str, path: str, body: Any = None, patience: float | None = None) -> tuple[int, str]:
        """Return (status, text) of one request, repeated while the API is silent or busy and patience lasts."""
        deadline = time.monotonic() + (self.patience if patience is None else patience)
        while True:
            status, text = self._round(method, path, body)
            if (status is not None and status not in BUSY) or time.monotonic() > deadline:
                break
            time.sleep(0.3)
        if status is None:
            raise ApiError("%s %s: %s" % (method, path.partition("?")[0], text))
        return status, text

    def _round(self, method: str, path: str, body: Any) -> tuple[int | None, str]:
        """Try each server once. Return (None, why) if none answers."""
        problems = []
        for session in list(self.sessions):
            try:
                answer = session.ask(method, path, body)
            except (OSError, http.client.HTTPException) as error:
                problems.append("%s:%d: %s" % (session.address, session.port, error or type(error).__name__))
                continue
            if session != self.sessions[0]:
                self.sessions.remove(session)
                self.sessions.insert(0, session)
            return answer
        return None, "; ".join(problems) or "no server is known"


def reason(status: int, text: str) -> str:
    """Return the API's own explanation of an error."""
    try:
        return "HTTP %d, %s" % (status, json.loads(text)["message"])
    except (ValueError, KeyError, TypeError):
        return "HTTP %d, %s" % (status, text[:300])
