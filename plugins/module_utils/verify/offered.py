# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which files and images the sources of a node do not have. Nothing is downloaded. Standard library only."""

from __future__ import annotations

import http.client
import ssl
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Dict, Iterable, List, Mapping

from ..base.masking import masked_message
from ..node import containerd_hosts, paths
from ..node.downloads import Source
from . import registry

SECONDS = 15
# What a server says of a file that it does not have. Object stores say 403 to those who may not list their files.
ABSENT = (403, 404, 410)
# A server that does not know the request HEAD is asked with GET, whose answer is not read.
NOT_KNOWN = (400, 405, 501)
# Where images of Docker Hub are: https://github.com/containerd/containerd/blob/main/docs/hosts.md
REGISTRIES = {"docker.io": "registry-1.docker.io"}
NO_ANSWER = (OSError, ValueError, KeyError, TypeError, http.client.HTTPException)


def files(source: Source, urls: Iterable[str]) -> Dict[str, Dict[str, str]]:
    """Return {missing: {address: why}, silent: {address: why}} of upstream's URLs in a source that is not a directory.

    silent: nobody answered, so that it is not known whether the file is there.
    """
    wanted = sorted({source.address(url) for url in urls})
    found: Dict[str, Dict[str, str]] = {"missing": {}, "silent": {}}
    with ThreadPoolExecutor(8) as pool:
        for address, (kind, why) in zip(wanted, pool.map(lambda address: _file(source, address), wanted)):
            if kind:
                found[kind][masked_message(address)] = masked_message(why)
    return found


def _file(source: Source, address: str, method: str = "HEAD") -> tuple[str, str]:
    """Return (missing, silent or "", why)."""
    try:
        with source.opener(address).open(urllib.request.Request(address, method=method), timeout=SECONDS):
            return "", ""
    except urllib.error.HTTPError as error:
        if error.code in NOT_KNOWN and method == "HEAD":
            return _file(source, address, "GET")
        return "missing" if error.code in ABSENT else "silent", "HTTP %d %s" % (error.code, error.reason)
    except (OSError, ValueError, http.client.HTTPException) as error:
        return "silent", str(getattr(error, "reason", None) or error or type(error).__name__)


def images(names: Iterable[str], place: registry.Place, root: str = paths.Kubeadm.registries) -> Dict[str, Any]:
    """Return {missing: {image: why}, silent: {image: why}} of the images that this node pulls from its registries."""
    registries, _broken = containerd_hosts.load(root)
    settings, logins = registry.proxy_settings(), registry.logins(place)
    found: Dict[str, Dict[str, str]] = {"missing": {}, "silent": {}}
    wanted = sorted(set(names))

    def one(name: str) -> tuple[str, str]:
        return _image(name, hosts_of(name.partition("/")[0], registries), settings, logins)

    with ThreadPoolExecutor(8) as pool:
        for name, (kind, why) in zip(wanted, pool.map(one, wanted)):
            if kind:
                found[kind][name] = masked_message(why)
    return found


def hosts_of(name: str, registries: Mapping[str, List[containerd_hosts.Host]]) -> List[containerd_hosts.Host]:
    """Return the mirrors of a registry, then the registry itself."""
    mirrors = registries.get(name, registries.get("_default")) or []
    return [*mirrors, {"header": {}, "url": "https://" + REGISTRIES.get(name, name)}]


def _image(name: str, hosts: List[containerd_hosts.Host], settings: registry.Proxies, logins: str) -> tuple[str, str]:
    """Return (missing, silent or "", why). An image is missing if a registry says so and none has it."""
    absent, silent = [], []
    for host in hosts:
        try:
            registry.Client(host, name.partition("/")[0], settings, logins).fetch(name)
            return "", ""
        except registry.ImageMissing:
            absent.append(host["url"])
        except (*NO_ANSWER, ssl.SSLError) as error:
            silent.append("%s: %s" % (host["url"], getattr(error, "reason", None) or error or type(error).__name__))
    return ("missing", ", ".join(absent)) if absent else ("silent", "; ".join(silent))
