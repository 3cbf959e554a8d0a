# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A small client of the Kubernetes API, with a kubeconfig's certificate. Standard library only."""

from __future__ import annotations

import http.client
import json
import os
import re
import threading
import time

from ..node import paths as places
from . import tls as https

MANIFEST = "/etc/kubernetes/manifests/kube-apiserver.yaml"
BUSY = (429, 500, 502, 503, 504)


class ApiError(Exception):
    """The API did not answer, or refused; the message says which request and why."""

    def __init__(self, message, status=None):
        super().__init__(message)
        self.status = status


def local_server(manifest=MANIFEST):
    """(address, port) of this control plane's own API server, None where there is none."""
    text = places.text_of(manifest)
    if not text:
        found = re.search(r"server:\s*https://127\.0\.0\.1:(\d+)", places.text_of(places.K3S_ADMIN))
        return ("127.0.0.1", int(found.group(1))) if found else None
    address = re.search(r"--advertise-address=(\S+)", text)
    port = re.search(r"--secure-port=(\d+)", text)
    return address.group(1) if address else "127.0.0.1", int(port.group(1)) if port else 6443


class Api:
    """The API of one cluster: the first server is asked, and the next where that one does not answer."""

    def __init__(self, servers, kubeconfig=None, timeout=10, patience=10):
        """servers: [(address, port)]. timeout: seconds for one answer. patience: seconds in which a busy or silent API is asked again."""
        kubeconfig = kubeconfig or places.admin()
        if not os.path.exists(kubeconfig):
            raise ApiError("%s is missing: this is no control plane of a running cluster" % kubeconfig)
        try:
            self.context = https.context({"kubeconfig": kubeconfig})
        except (OSError, ValueError) as error:
            raise ApiError("%s: %s" % (kubeconfig, error)) from None
        self.servers, self.timeout, self.patience = list(servers), timeout, patience
        self.kept = threading.local()

    def get(self, path, missing_ok=False):
        """The answer as a map; None for 404 with missing_ok."""
        return self.call("GET", path, missing_ok=missing_ok)

    def create(self, path, body):
        """Make an object. One that a lost answer had made already is fine."""
        try:
            return self.call("POST", path, body)
        except ApiError as error:
            if error.status == 409:
                return body
            raise

    def delete(self, path):
        """Delete an object and, in the background, what belongs to it. None when it was not there."""
        return self.call("DELETE", path + "?propagationPolicy=Background&gracePeriodSeconds=0", missing_ok=True)

    def call(self, method, path, body=None, missing_ok=False):
        """The answer as a map. Raises ApiError."""
        status, text = self.ask(method, path, body)
        if status == 404 and missing_ok:
            return None
        if status >= 300:
            raise ApiError("%s %s: %s" % (method, path.partition("?")[0], reason(status, text)), status)
        try:
            return json.loads(text)
        except ValueError:
            raise ApiError("%s %s: the answer is no JSON: %s" % (method, path, text[:200])) from None

    def ask(self, method, path, body=None, patience=None):
        """(status, text) of one request, asked again while the API is silent or busy and patience lasts."""
        deadline = time.monotonic() + (self.patience if patience is None else patience)
        while True:
            status, text = self._round(method, path, body)
            if status not in BUSY + (None,) or time.monotonic() > deadline:
                break
            time.sleep(0.3)
        if status is None:
            raise ApiError("%s %s: %s" % (method, path.partition("?")[0], text))
        return status, text

    def _round(self, method, path, body):
        """One try at each server. (None, why) when none answers."""
        problems = []
        for server in list(self.servers):
            try:
                answer = self._once(server, method, path, body)
            except (OSError, http.client.HTTPException) as error:
                problems.append("%s:%d: %s" % (server[0], server[1], error or type(error).__name__))
                continue
            if server != self.servers[0]:
                self.servers.sort(key=lambda other, best=server: other != best)
            return answer
        return None, "; ".join(problems) or "no server is known"

    def _once(self, server, method, path, body):
        """Ask one server, over the thread's kept connection; a new one where that was closed in the meantime."""
        connections = self.kept.__dict__.setdefault("connections", {})
        data = None if body is None else json.dumps(body)
        headers = {"Accept": "application/json", "Content-Type": "application/json"}
        while True:
            fresh = server not in connections
            if fresh:
                connections[server] = http.client.HTTPSConnection(*server, timeout=self.timeout, context=self.context)
            try:
                connections[server].request(method, path, body=data, headers=headers)
                answer = connections[server].getresponse()
                return answer.status, answer.read().decode("utf-8", "replace")
            except (OSError, http.client.HTTPException):
                connections.pop(server).close()
                if fresh:
                    raise


def reason(status, text):
    """The API's own word on a refusal."""
    try:
        return "HTTP %d, %s" % (status, json.loads(text)["message"])
    except (ValueError, KeyError, TypeError):
        return "HTTP %d, %s" % (status, text[:300])
