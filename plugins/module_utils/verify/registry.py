# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Check that each registry mirror of a node serves an image: its manifest, and its configuration with the right digest.

A pull by containerd would not show a dead mirror, because it falls back to the next host. Standard library only.
"""

from __future__ import annotations

import hashlib
import http.client
import ipaddress
import json
import platform
import re
import shutil
import ssl
import time
import urllib.error
import urllib.request
from typing import Any, Iterable, Optional, Tuple, Union
from urllib.parse import urlencode, urlsplit

from ..base import commands
from ..node import containerd_hosts, paths
from .check import FAIL, OK, WARN, Check, check

TIMEOUT = 10
TRIES = 3  # images, if a mirror does not have the first
ACCEPT = ", ".join(
    "application/vnd." + kind
    for kind in (
        "oci.image.index.v1+json",
        "oci.image.manifest.v1+json",
        "docker.distribution.manifest.list.v2+json",
        "docker.distribution.manifest.v2+json",
    )
)
ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64", "armv7l": "arm", "armv6l": "arm"}
Place = Union[paths.Kubeadm, paths.K3s]
# (mirror, image or None, problem or None, milliseconds).
Result = Tuple[containerd_hosts.Host, Optional[str], object, int]


class ImageMissing(ValueError):
    """The registry answers, but does not have the image."""


def checks(own: str, place: Place) -> list[Check]:
    """Return one check for each mirror of each registry. own: the node. place: paths.here()."""
    registries = containerd_hosts.load(place.registries)
    if not any(registries.values()):
        return []
    images, settings = images_here(place), proxy_settings()
    found = []
    for registry, hosts in sorted(registries.items()):
        own_images = _images_of(registry, images, registries)
        results = [(host, *pull(host, registry, own_images, settings)) for host in hosts]
        others_serve = any(problem is None and image is not None for _host, image, problem, _ms in results)
        found += [_judged(own, registry, result, others_serve) for result in results]
    return found


def _judged(own: str, registry: str, result: Result, others_serve: bool) -> Check:
    host, image, problem, spent = result
    what = "%s for %s" % (host["url"], "all registries" if registry == "_default" else registry)
    if problem is None and image:
        return check("registry", OK, "%s serves %s" % (what, image), own, ms=spent)
    if problem is None:
        return check("registry", OK, "%s answers; this node has no image from it to test" % what, own, ms=spent)
    url = containerd_hosts.base_url(host["url"], host.get("override_path"))
    hint = "try `curl %s/`; its address, login and CA are set in kube_registries" % url
    # If one mirror does not have an image, containerd tries the next.
    status = WARN if others_serve and isinstance(problem, ImageMissing) else FAIL
    return check("registry", status, "%s does not serve images: %s" % (what, problem), own, hint, spent)


def images_here(place: Place) -> list[str]:
    """Return the references of the images on this node, the smallest first: ["registry.k8s.io/pause:3.10"]."""
    program = shutil.which(place.crictl[0], path="/usr/local/bin:/usr/bin:/opt/bin") or place.crictl[0]
    argv = [
        program,
        *place.crictl[1:],
        "--timeout",
        "10s",
        "--runtime-endpoint",
        "unix://" + place.socket,
        "images",
        "--output",
        "json",
    ]
    try:
        listed = json.loads(commands.run(argv, timeout=15).out)["images"]
    except (ValueError, KeyError):
        return []
    return [
        tag
        for image in sorted(listed, key=lambda image: int(image.get("size") or 0))
        for tag in image.get("repoTags") or []
    ]


def _images_of(registry: str, images: list[str], registries: Iterable[str]) -> list[str]:
    if registry != "_default":
        return [image for image in images if image.startswith(registry + "/")]
    return [image for image in images if image.partition("/")[0] not in registries]


def pull(
    host: containerd_hosts.Host, registry: str, images: list[str], settings: Proxies
) -> tuple[str | None, object, int]:
    """Return (image or None, problem or None, milliseconds) for one mirror."""
    began = time.monotonic()
    image: str | None = None
    problem: object = None
    try:
        client = Client(host, registry, settings)
        if not images:
            client.alive()
        for image in images[:TRIES]:
            try:
                client.fetch(image)
                problem = None
                break
            except ImageMissing as error:
                problem = error
    except (OSError, ValueError, KeyError, TypeError, http.client.HTTPException) as error:
        problem = error
        cause = getattr(error, "reason", None)
        if isinstance(cause, OSError):
            problem = cause.strerror or cause
    return image, problem, int((time.monotonic() - began) * 1000)


class Client:
    """Requests to one mirror as containerd sends them: with its CA, headers, proxy, and a token if it asks for one."""

    def __init__(self, host: containerd_hosts.Host, registry: str, settings: Proxies) -> None:
        self.base = containerd_hosts.base_url(host["url"], host.get("override_path"))
        self.registry, self.headers = registry, host.get("header") or {}
        self.token: str | None = None
        self.opener = urllib.request.build_opener(
            urllib.request.HTTPSHandler(context=_context(host)),
            urllib.request.ProxyHandler(settings.proxies(urlsplit(self.base).hostname or "")),
        )

    def alive(self) -> None:
        """Check that it is a registry. One that requires a login for everything answers too."""
        try:
            self.open(self.base + "/")
        except urllib.error.HTTPError as error:
            if error.code not in (401, 403, 404):
                raise

    def fetch(self, image: str) -> None:
        """Fetch an image's manifest for this machine and its configuration. Raise ValueError if the digest is wrong."""
        registry, _slash, rest = image.partition("/")
        repository, _colon, tag = rest.rpartition(":")
        manifest = json.loads(self.open(self._url(registry, repository, "manifests", tag)))
        if "manifests" in manifest:
            manifest = json.loads(
                self.open(self._url(registry, repository, "manifests", _for_here(manifest["manifests"])))
            )
        digest = manifest["config"]["digest"]
        blob = self.open(self._url(registry, repository, "blobs", digest))
        if "sha256:" + hashlib.sha256(blob).hexdigest() != digest:
            raise ValueError("the configuration of %s has another digest than its manifest" % image)

    def _url(self, registry: str, *parts: str) -> str:
        return "%s/%s?%s" % (self.base, "/".join(parts), urlencode({"ns": registry}))

    def open(self, url: str, again: bool = True) -> bytes:
        """Return the answer to a request, at most 16 MiB. again: get a token and retry if the registry asks for one.

        Raise ImageMissing if the registry does not have it, or OSError.
        """
        request = urllib.request.Request(url, headers={"Accept": ACCEPT})
        for name, value in {**self.headers, **({"Authorization": self.token} if self.token else {})}.items():
            # Not sent to the server that a blob may be redirected to.
            request.add_unredirected_header(name, value[0] if isinstance(value, list) else value)
        try:
            with self.opener.open(request, timeout=TIMEOUT) as answer:
                return answer.read(16 << 20)
        except urllib.error.HTTPError as error:
            challenge = error.headers.get("WWW-Authenticate") or ""
            if error.code == 401 and again and challenge.lower().startswith("bearer"):
                self.token = self._token(dict(re.findall(r'(\w+)="([^"]*)"', challenge)))
                return self.open(url, again=False)
            if error.code == 404 and url != self.base + "/":
                raise ImageMissing("it does not have %s" % urlsplit(url).path) from None
            raise

    def _token(self, challenge: dict[str, str]) -> str:
        """Return the header value for the token that a registry asks for.

        https://distribution.github.io/distribution/spec/auth/token/
        """
        query = urlencode([(key, challenge[key]) for key in ("service", "scope") if key in challenge])
        request = urllib.request.Request("%s?%s" % (challenge["realm"], query))
        login = self.headers.get("Authorization")
        if login:
            request.add_unredirected_header("Authorization", login[0] if isinstance(login, list) else login)
        with self.opener.open(request, timeout=TIMEOUT) as answer:
            found = json.loads(answer.read(1 << 20))
        return "Bearer " + (found.get("token") or found["access_token"])


def _for_here(manifests: list[dict[str, Any]]) -> str:
    """Return the digest of the manifest for this machine's architecture. Raise ImageMissing."""
    wanted = ARCHITECTURES.get(platform.machine(), platform.machine())
    for item in manifests:
        target = item.get("platform") or {}
        if target.get("architecture") == wanted and target.get("os", "linux") == "linux":
            return item["digest"]
    raise ImageMissing("it has no image for %s" % wanted)


def _context(host: containerd_hosts.Host) -> ssl.SSLContext:
    context = ssl.create_default_context()
    authorities = host.get("ca") or []
    for path in [authorities] if isinstance(authorities, str) else authorities:
        context.load_verify_locations(path)
    if host.get("skip_verify") is True:
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    pairs = host.get("client") or []
    for pair in [pairs] if isinstance(pairs, str) else pairs:
        context.load_cert_chain(pair)
    return context


class Proxies:
    """containerd's proxy, and the names, domains, addresses and networks that it reaches directly."""

    def __init__(self, environment: dict[str, str]) -> None:
        self.environment = environment

    def proxies(self, name: str) -> dict[str, str]:
        """Return {scheme: proxy} for a host name, {} if it is reached directly."""
        if any(
            _covers(entry.strip(), name) for entry in self.environment.get("NO_PROXY", "").split(",") if entry.strip()
        ):
            return {}
        return {
            kind.lower(): self.environment[kind + "_PROXY"]
            for kind in ("HTTP", "HTTPS")
            if self.environment.get(kind + "_PROXY")
        }


def proxy_settings(path: str = paths.PROXY_ENVIRONMENT) -> Proxies:
    """Return the proxy that the collection set for containerd on this node."""
    try:
        with open(path, encoding="utf-8") as stream:
            return Proxies(
                dict(line.strip().split("=", 1) for line in stream if "=" in line and not line.startswith("#"))
            )
    except OSError:
        return Proxies({})


def _covers(entry: str, name: str) -> bool:
    try:
        return ipaddress.ip_address(name) in ipaddress.ip_network(entry, strict=False)
    except ValueError:
        return entry == "*" or name == entry.lstrip(".") or name.endswith("." + entry.lstrip("."))
