# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A small client of the Kubernetes API for a control plane, with the node's own kubeconfig. Standard library only."""

from __future__ import annotations

import http.client
import json
import os
import re
import socket

from .detect import https

KUBERNETES = "/etc/kubernetes"


class ApiError(Exception):
    """The API did not answer, or refused; the message says which request and why."""


class Api:
    """One connection to the API server of this control plane, opened again when it was closed."""

    def __init__(self, kubeconfig=KUBERNETES + "/admin.conf", timeout=10):
        if not os.path.exists(kubeconfig):
            raise ApiError("%s is missing: this is no control plane of a running cluster" % kubeconfig)
        try:
            with open(KUBERNETES + "/manifests/kube-apiserver.yaml", encoding="utf-8") as stream:
                manifest = stream.read()
        except OSError as error:
            raise ApiError("%s: %s" % (error.filename, error.strerror)) from None
        address = re.search(r"--advertise-address=(\S+)", manifest)
        port = re.search(r"--secure-port=(\d+)", manifest)
        self.place = (address.group(1) if address else "127.0.0.1", int(port.group(1)) if port else 6443)
        self.context, self.timeout, self.connection = https.context({"kubeconfig": kubeconfig}), timeout, None

    def call(self, method, path, body=None, missing_ok=False, patch="application/apply-patch+yaml"):
        """The answer as a map; None for 404 with missing_ok. Raises ApiError."""
        headers = {"Accept": "application/json", "Content-Type": patch if method == "PATCH" else "application/json"}
        for attempt in (1, 2):
            try:
                if self.connection is None:
                    self.connection = http.client.HTTPSConnection(*self.place, timeout=self.timeout, context=self.context)
                self.connection.request(method, path, body=None if body is None else json.dumps(body), headers=headers)
                answer = self.connection.getresponse()
                text = answer.read()
                break
            except (OSError, http.client.HTTPException, socket.timeout) as error:
                self.connection = None
                if attempt == 2:
                    raise ApiError("%s %s at %s:%d: %s" % (method, path, *self.place, error)) from None
        if answer.status == 404 and missing_ok:
            return None
        if answer.status >= 300:
            raise ApiError("%s %s: HTTP %d %s" % (method, path, answer.status, text[:300].decode("utf-8", "replace")))
        return json.loads(text)

    def get(self, path, missing_ok=False):
        return self.call("GET", path, missing_ok=missing_ok)

    def apply(self, path, body):
        """Server-side apply of one object."""
        return self.call("PATCH", path + "?fieldManager=kubewright&force=true", body)

    def delete(self, path):
        return self.call("DELETE", path + "?propagationPolicy=Background", missing_ok=True)
