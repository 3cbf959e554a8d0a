# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Push image archives to a registry over its HTTP API; only blobs that it does not have yet."""

from __future__ import annotations

import http.client
import json
import tarfile
from urllib.parse import urlsplit

from .catalog import LabError
from .oci import MANIFEST, blob_path


class Registry:
    """A connection to a registry that speaks plain HTTP."""

    def __init__(self, address):
        self.address = address
        self.connection = http.client.HTTPConnection(address, timeout=60)

    def request(self, method, path, body=None, headers=None):
        """Send a request and return (status, headers). The body is discarded."""
        self.connection.request(method, path, body=body, headers=headers or {})
        answer = self.connection.getresponse()
        answer.read()
        return answer.status, answer.headers

    def digest(self, name, tag):
        """Return the digest of the manifest with a tag, or None."""
        status, headers = self.request("HEAD", f"/v2/{name}/manifests/{tag}", headers={"Accept": MANIFEST})
        return headers.get("Docker-Content-Digest") if status == 200 else None

    def push_blob(self, name, descriptor, file):
        """Upload a blob in one request, unless the registry has it."""
        status, _headers = self.request("HEAD", f"/v2/{name}/blobs/{descriptor['digest']}")
        if status == 200:
            return
        status, headers = self.request("POST", f"/v2/{name}/blobs/uploads/")
        self.expect(status, 202, name)
        address = urlsplit(headers["Location"])
        path = (
            f"{address.path}?{address.query}&digest={descriptor['digest']}"
            if address.query
            else (f"{address.path}?digest={descriptor['digest']}")
        )
        sizes = {"Content-Length": str(descriptor["size"]), "Content-Type": "application/octet-stream"}
        status, _headers = self.request("PUT", path, body=file, headers=sizes)
        self.expect(status, 201, name)

    def expect(self, status, wanted, name):
        """Raise LabError if the status is not the expected one."""
        if status != wanted:
            raise LabError(f"The registry {self.address} answered {status} to a push of {name}, expected {wanted}.")

    def push(self, archive, name, tag):
        """Push the image of an archive."""
        with tarfile.open(archive) as tar:
            top = json.load(tar.extractfile("index.json"))["manifests"][0]
            raw = tar.extractfile(blob_path(top["digest"])).read()
            manifest = json.loads(raw)
            for descriptor in [*manifest["layers"], manifest["config"]]:
                self.push_blob(name, descriptor, tar.extractfile(blob_path(descriptor["digest"])))
        status, _headers = self.request(
            "PUT",
            f"/v2/{name}/manifests/{tag}",
            body=raw,
            headers={"Content-Type": manifest.get("mediaType", MANIFEST)},
        )
        self.expect(status, 201, f"{name}:{tag}")
