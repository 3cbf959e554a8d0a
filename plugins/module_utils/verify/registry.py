# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Check that containerd pulls images, and that each registry mirror of a node serves them.

The proof is a pull by containerd itself, of an image that the node has, by its digest: it changes nothing. A pull does
not show a dead mirror, because containerd falls back to the next host. So each mirror is also asked for an image's
manifest and configuration, by a client that does less than containerd: it never sends a login to another host.
Standard library only.
"""

from __future__ import annotations

import base64
import glob
import hashlib
import http.client
import json
import platform
import re
import shutil
import ssl
import time
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Dict, Iterable, NamedTuple, Optional, Tuple, Union
from urllib.parse import urlencode, urlsplit

from ..base import commands
from ..base.proxies import excepted
from ..base.text_files import read_text
from ..node import containerd_hosts, paths
from .check import FAIL, OK, WARN, Check, check

TIMEOUT = 10
PULL_SECONDS = 45
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


class Image(NamedTuple):
    """An image on this node. tag: its reference. digest: its reference by digest, "" if it came by an archive."""

    tag: str
    digest: str = ""


class ImageMissing(ValueError):
    """The registry answers, but does not have the image."""


class LoginElsewhere(ValueError):
    """The registry answers, and exchanges logins for tokens on another host."""


def checks(own: str, place: Place) -> list[Check]:
    """Return the checks of each registry that has mirrors or settings. own: the node. place: paths.here()."""
    registries, broken = containerd_hosts.load(place.registries)
    hint = "it is made from kube_registries; run site again, or correct it there"
    text = "%s cannot be used, containerd ignores it: %s"
    found = [check("registry", FAIL, text % item, own, hint) for item in sorted(broken.items())]
    if not any(registries.values()):
        return found
    images, settings = images_here(place), proxy_settings()

    def one(item: tuple[str, list[containerd_hosts.Host]]) -> list[Check]:
        return _registry(own, place, item[0], item[1], _images_of(item[0], images, registries), settings)

    with ThreadPoolExecutor(4) as pool:
        return found + [row for part in pool.map(one, sorted(registries.items())) for row in part]


def _registry(
    own: str, place: Place, registry: str, hosts: list[containerd_hosts.Host], images: list[Image], settings: Proxies
) -> list[Check]:
    """Return the checks of one registry."""
    if not hosts:
        return []
    pulled = pull(own, place, [image for image in images if image.digest])
    known = logins(place)
    results = [(host, *ask(host, registry, [image.tag for image in images], settings, known)) for host in hosts]
    # If one mirror does not have an image, containerd tries the next. What came by an archive need not be in a mirror.
    served = any(problem is None and image is not None for _host, image, problem, _ms in results)
    spare = served or not pulled or any(row["status"] == OK for row in pulled)
    return pulled + [_judged(own, registry, result, spare) for result in results]


def _judged(own: str, registry: str, result: Result, spare: bool) -> Check:
    """Return the check of one mirror. spare: True if the cluster does not need the images that it does not have."""
    host, image, problem, spent = result
    what = "%s for %s" % (host["url"], "all registries" if registry == "_default" else registry)
    if isinstance(problem, LoginElsewhere):
        return check("registry", OK, "%s answers; %s" % (what, problem), own, ms=spent)
    if problem is None and image:
        return check("registry", OK, "%s serves %s" % (what, image), own, ms=spent)
    if problem is None:
        return check("registry", OK, "%s answers; this node has no image from it to test" % what, own, ms=spent)
    url = containerd_hosts.base_url(host["url"], host.get("override_path"))
    hint = "try `curl %s/`; its address, login and CA are set in kube_registries" % url
    status = WARN if spare and isinstance(problem, ImageMissing) else FAIL
    return check("registry", status, "%s does not serve images: %s" % (what, problem), own, hint, spent)


def pull(own: str, place: Place, images: list[Image]) -> list[Check]:
    """Let containerd pull an image that this node has pulled before. Return one check, none without such an image."""
    done = commands.Result(0)
    began = time.monotonic()
    for image in images[:TRIES]:
        done = commands.run(_crictl(place, "pull", image.digest), timeout=PULL_SECONDS)
        if done.rc == 0:
            return [check("registry", OK, "containerd pulls %s" % image.tag, own, ms=_since(began))]
    if not images:
        return []
    text = "containerd does not pull %s: %s" % (images[0].tag, done.complaint())
    hint = "look at `journalctl -u containerd` there; mirrors and logins are set in kube_registries"
    return [check("registry", FAIL, text, own, hint, _since(began))]


def _since(began: float) -> int:
    return int((time.monotonic() - began) * 1000)


def _crictl(place: Place, *arguments: str) -> list[str]:
    program = shutil.which(place.crictl[0], path="/usr/local/bin:/usr/bin:/opt/bin") or place.crictl[0]
    endpoints = ("--runtime-endpoint", "unix://" + place.socket, "--image-endpoint", "unix://" + place.socket)
    return [program, *place.crictl[1:], "--timeout", "10s", *endpoints, *arguments]


def logins(place: Place) -> str:
    """Return the text of containerd's configuration with the logins."""
    files = sorted(path for pattern in place.containerd for path in glob.glob(pattern))
    return "\0".join(map(read_text, files))


def images_here(place: Place) -> list[Image]:
    """Return the images on this node, the smallest first.

    Those that K3s imported from an archive have a reference by digest too, but are pinned: pkg/agent/containerd
    (retagImages, labelImages). So is the sandbox image, which nobody needs to pull again.
    """
    try:
        listed = json.loads(commands.run(_crictl(place, "images", "--output", "json"), timeout=15).out)["images"]
    except (ValueError, KeyError):
        return []
    found = []
    for image in sorted(listed, key=lambda image: int(image.get("size") or 0)):
        digests = [] if image.get("pinned") else image.get("repoDigests") or []
        for tag in image.get("repoTags") or []:
            name = tag.rpartition(":")[0] + "@"
            found.append(Image(tag, next((digest for digest in digests if digest.startswith(name)), "")))
    return found


def _images_of(registry: str, images: list[Image], registries: Iterable[str]) -> list[Image]:
    if registry != "_default":
        return [image for image in images if image.tag.startswith(registry + "/")]
    return [image for image in images if image.tag.partition("/")[0] not in registries]


def ask(
    host: containerd_hosts.Host, registry: str, images: list[str], settings: Proxies, config: str = ""
) -> tuple[str | None, object, int]:
    """Ask one mirror. Return (image or None, problem or None, milliseconds). config: logins()."""
    began = time.monotonic()
    image: str | None = None
    problem: object = None
    try:
        client = Client(host, registry, settings, config)
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
    return image, problem, _since(began)


class Client:
    """Requests to one mirror with containerd's CA, certificates, headers, names, proxy and login."""

    def __init__(self, host: containerd_hosts.Host, registry: str, settings: Proxies, config: str = "") -> None:
        self.host, self.registry, self.headers = host, registry, host.get("header") or {}
        self.base = containerd_hosts.base_url(host["url"], host.get("override_path"))
        found = [containerd_hosts.login(text, urlsplit(self.base).netloc) for text in config.split("\0")]
        self.login = next((pair for pair in found if pair), None)
        self.authorization = ""
        self.opener = urllib.request.build_opener(
            urllib.request.HTTPSHandler(context=_context(host)),
            urllib.request.ProxyHandler(settings.proxies(urlsplit(self.base).hostname or "")),
        )

    def alive(self) -> None:
        """Check that it is a registry. One that requires a login for everything answers too."""
        try:
            self.open(self.base + "/")
        except urllib.error.HTTPError as error:
            if error.code not in (401, 403, 404) or error.code == 401 and self.authorization:
                raise

    def fetch(self, image: str) -> None:
        """Fetch an image's manifest for this machine and its configuration. Raise ValueError if the digest is wrong."""
        registry, _slash, rest = image.partition("/")
        repository, _colon, tag = rest.rpartition(":")
        repository = containerd_hosts.rewritten(repository, self.host)
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
        """Return the answer to a request, at most 16 MiB. again: log in and retry if the registry asks for it.

        Raise ImageMissing if the registry does not have it, LoginElsewhere, or OSError.
        """
        headers = {**self.headers, **({"Authorization": self.authorization} if self.authorization else {})}
        try:
            return self._get(url, headers)
        except urllib.error.HTTPError as error:
            if error.code == 401 and again and self._log_in(error.headers.get("WWW-Authenticate") or ""):
                return self.open(url, again=False)
            if error.code == 404 and url != self.base + "/":
                raise ImageMissing("it does not have %s" % urlsplit(url).path) from None
            raise

    def _get(self, url: str, headers: Dict[str, Any]) -> bytes:
        request = urllib.request.Request(url, headers={"Accept": ACCEPT})
        for name, value in headers.items():
            # Not sent to the server that a blob may be redirected to.
            request.add_unredirected_header(name, value[0] if isinstance(value, list) else value)
        with self.opener.open(request, timeout=TIMEOUT) as answer:
            return answer.read(16 << 20)

    def _log_in(self, challenge: str) -> bool:
        """Follow a registry's challenge. Return True if a request may succeed now.

        https://distribution.github.io/distribution/spec/auth/token/
        """
        basic = "Basic " + base64.b64encode(":".join(self.login).encode()).decode() if self.login else ""
        if not challenge.lower().startswith("bearer"):
            self.authorization = basic
            return bool(basic)
        values = dict(re.findall(r'(\w+)="([^"]*)"', challenge))
        realm = values["realm"]
        if self.login and urlsplit(realm)[:2] != urlsplit(self.base)[:2]:
            raise LoginElsewhere(
                "it takes logins at %s, which only containerd's pull can test" % urlsplit(realm).netloc
            )
        query = urlencode([(key, values[key]) for key in ("service", "scope") if key in values])
        found = json.loads(self._get("%s?%s" % (realm, query), {"Authorization": basic} if basic else {}))
        self.authorization = "Bearer " + (found.get("token") or found["access_token"])
        return True


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
    for certificate, key in containerd_hosts.client_pairs(host):
        context.load_cert_chain(certificate, key)
    return context


class Proxies:
    """containerd's proxy, and the names, domains, addresses and networks that it reaches directly."""

    def __init__(self, environment: dict[str, str]) -> None:
        self.environment = environment

    def proxies(self, name: str) -> dict[str, str]:
        """Return {scheme: proxy} for a host name, {} if it is reached directly."""
        if excepted(name, self.environment.get("NO_PROXY", "").split(",")):
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
