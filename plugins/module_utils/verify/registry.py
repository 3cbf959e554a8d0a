# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Proof that each registry mirror of a node pulls: a manifest and the image's configuration, whose digest is checked. Standard library only.

containerd falls back on the next host when a mirror fails, so a pull of containerd's own would not show a dead mirror.
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
from urllib.parse import urlencode, urlsplit

from ..base import commands
from ..node import containerd_hosts, paths
from .check import FAIL, OK, WARN, check

TIMEOUT = 10
TRIES = 3  # images, where a mirror lacks the first
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


class Lacking(ValueError):
    """The registry answers, and does not have the image."""


def checks(own, place):
    """One check for each mirror of each registry."""
    registries = containerd_hosts.load(place.registries)
    if not any(registries.values()):
        return []
    images, settings = images_here(place), proxy_settings()
    found = []
    for registry, hosts in sorted(registries.items()):
        results = [(host, *pull(host, registry, _images_of(registry, images, registries), settings)) for host in hosts]
        somebody = any(problem is None and image for _host, image, problem, _ms in results)
        found += [_judged(own, registry, result, somebody) for result in results]
    return found


def _judged(own, registry, result, somebody):
    host, image, problem, spent = result
    what = "%s for %s" % (host["url"], "all registries" if registry == "_default" else registry)
    if problem is None and image:
        return check("registry", OK, "%s gives out %s" % (what, image), own, ms=spent)
    if problem is None:
        return check("registry", OK, "%s answers; no image from there is on this node" % what, own, ms=spent)
    hint = "try `curl %s/`; kube_registries has its address, login and CA" % containerd_hosts.base_url(
        host["url"], host.get("override_path")
    )
    # containerd goes on to the next host for an image that one lacks.
    status = WARN if somebody and isinstance(problem, Lacking) else FAIL
    return check("registry", status, "%s does not pull: %s" % (what, problem), own, hint, spent)


def images_here(place):
    """References of the images on this node, the smallest first: ["registry.k8s.io/pause:3.10"]."""
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


def _images_of(registry, images, registries):
    if registry != "_default":
        return [image for image in images if image.startswith(registry + "/")]
    return [image for image in images if image.partition("/")[0] not in registries]


def pull(host, registry, images, settings):
    """(image or None, problem or None, milliseconds) for one mirror."""
    began, image, problem = time.monotonic(), None, None
    try:
        client = Client(host, registry, settings)
        if not images:
            client.alive()
        for image in images[:TRIES]:
            try:
                client.fetch(image)
                problem = None
                break
            except Lacking as error:
                problem = error
    except (OSError, ValueError, KeyError, TypeError, http.client.HTTPException) as error:
        problem = error
        if isinstance(getattr(error, "reason", None), OSError):
            problem = error.reason.strerror or error.reason
    return image, problem, int((time.monotonic() - began) * 1000)


class Client:
    """Requests to one mirror as containerd makes them: its CA, its headers, its proxy, a token where it asks for one."""

    def __init__(self, host, registry, settings):
        self.base = containerd_hosts.base_url(host["url"], host.get("override_path"))
        self.registry, self.headers, self.token = registry, host.get("header") or {}, None
        self.opener = urllib.request.build_opener(
            urllib.request.HTTPSHandler(context=_context(host)),
            urllib.request.ProxyHandler(settings.proxies(urlsplit(self.base).hostname)),
        )

    def alive(self):
        """It is a registry. That it wants a login for everything is an answer too."""
        try:
            self.open(self.base + "/")
        except urllib.error.HTTPError as error:
            if error.code not in (401, 403, 404):
                raise

    def fetch(self, image):
        """The manifest of an image for this machine, and its configuration; ValueError when that has another digest."""
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
            raise ValueError("the configuration of %s has another digest than its manifest says" % image)

    def _url(self, registry, *parts):
        return "%s/%s?%s" % (self.base, "/".join(parts), urlencode({"ns": registry}))

    def open(self, url, again=True):
        request = urllib.request.Request(url, headers={"Accept": ACCEPT})
        for name, value in {**self.headers, **({"Authorization": self.token} if self.token else {})}.items():
            # Not sent on to where a blob may be redirected to.
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
                raise Lacking("it does not have %s" % urlsplit(url).path) from None
            raise

    def _token(self, challenge):
        """https://distribution.github.io/distribution/spec/auth/token/"""
        asked = {key: challenge[key] for key in ("service", "scope") if key in challenge}
        request = urllib.request.Request("%s?%s" % (challenge["realm"], urlencode(asked)))
        login = self.headers.get("Authorization")
        if login:
            request.add_unredirected_header("Authorization", login[0] if isinstance(login, list) else login)
        with self.opener.open(request, timeout=TIMEOUT) as answer:
            found = json.loads(answer.read(1 << 20))
        return "Bearer " + (found.get("token") or found["access_token"])


def _for_here(manifests):
    """Digest of the manifest for this machine's architecture."""
    wanted = ARCHITECTURES.get(platform.machine(), platform.machine())
    for item in manifests:
        where = item.get("platform") or {}
        if where.get("architecture") == wanted and where.get("os", "linux") == "linux":
            return item["digest"]
    raise Lacking("it has no image for %s" % wanted)


def _context(host):
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
    """containerd's proxy, and what it does not send there (names, domains, addresses, networks)."""

    def __init__(self, environment):
        self.environment = environment

    def proxies(self, name):
        """{scheme: proxy} for a host name; empty for a direct way."""
        if any(
            _covers(entry.strip(), name) for entry in self.environment.get("NO_PROXY", "").split(",") if entry.strip()
        ):
            return {}
        return {
            kind.lower(): self.environment[kind + "_PROXY"]
            for kind in ("HTTP", "HTTPS")
            if self.environment.get(kind + "_PROXY")
        }


def proxy_settings(path=paths.PROXY_ENVIRONMENT):
    try:
        with open(path, encoding="utf-8") as stream:
            return Proxies(
                dict(line.strip().split("=", 1) for line in stream if "=" in line and not line.startswith("#"))
            )
    except OSError:
        return Proxies({})


def _covers(entry, name):
    try:
        return ipaddress.ip_address(name) in ipaddress.ip_network(entry, strict=False)
    except ValueError:
        return entry == "*" or name == entry.lstrip(".") or name.endswith("." + entry.lstrip("."))
