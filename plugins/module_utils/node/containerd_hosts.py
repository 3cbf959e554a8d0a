# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Read containerd's hosts.toml, the hosts that a registry's images are pulled from. Standard library only.

https://github.com/containerd/containerd/blob/main/docs/hosts.md and core/remotes/docker/config/hosts.go
"""

from __future__ import annotations

import glob
import os
import re
from typing import Any, Dict, List, Tuple

from ..base import toml

CERTS = "/etc/containerd/certs.d"
# {url, capabilities, ca, client, skip_verify, override_path, header, rewrite}.
Host = Dict[str, Any]


def load(root: str = CERTS) -> tuple[dict[str, list[Host]], dict[str, str]]:
    """Return (hosts of each registry with a hosts.toml under certs.d, {path: why a file cannot be used}).

    A file that is not TOML is not used by containerd at all.
    """
    found: Dict[str, List[Host]] = {}
    broken: Dict[str, str] = {}
    for path in sorted(glob.glob(root + "/*/hosts.toml")):
        try:
            with open(path, encoding="utf-8") as stream:
                found[os.path.basename(os.path.dirname(path))] = hosts(stream.read())
        except (OSError, ValueError) as error:
            broken[path] = str(error)
    return found, broken


def hosts(text: str) -> list[Host]:
    """Return the hosts in the text of a hosts.toml, in the order in which containerd tries them.

    Without a table of hosts it is the registry itself, if the file has settings for it. Raise ValueError if containerd
    refuses the text.
    """
    content = toml.parse(text)
    tables = content.get("host", {})
    if not isinstance(tables, dict) or not all(isinstance(item, dict) for item in tables.values()):
        raise ValueError("host is not a table of tables")
    found: List[Host] = [{"header": {}, **settings, "url": url} for url, settings in tables.items()]
    own = {key: value for key, value in content.items() if key not in ("host", "server")}
    if own and not found and isinstance(content.get("server"), str):
        found.append({"header": {}, **own, "url": content["server"]})
    for host in found:
        client_pairs(host)
        if not isinstance(host["header"], dict) or not isinstance(host.get("rewrite", {}), dict):
            raise ValueError("header or rewrite of %s is not a table" % host["url"])
    return found


def client_pairs(host: Host) -> list[Tuple[str, str | None]]:
    """Return the client's certificates of a host: (certificate, key), the key None if it is in the same file.

    A string is one file, a list of strings several files, and a list of lists pairs of files.
    """
    given = host.get("client", [])
    found: List[Tuple[str, str | None]] = []
    for item in [given] if isinstance(given, str) else given if isinstance(given, list) else [None]:
        if isinstance(item, str):
            found.append((item, None))
        elif isinstance(item, list) and len(item) == 2 and all(isinstance(path, str) for path in item):
            found.append((item[0], item[1] or None))
        else:
            raise ValueError("client of %s is neither a file nor a list of files or of pairs" % host["url"])
    return found


def rewritten(repository: str, host: Host) -> str:
    """Return the name under which a host has a repository: K3s's containerd applies the first pattern that changes it.

    The patterns are Go's, with $1 for a group. A pattern that Python cannot read raises ValueError.
    """
    for pattern, replacement in (host.get("rewrite") or {}).items():
        text = re.sub(r"\$(?:\{(\w+)\}|(\w+))", _group, str(replacement).replace("\\", r"\\"))
        try:
            changed = re.sub(pattern, text, repository)
        except (re.error, IndexError):
            raise ValueError("the rewrite %s cannot be tested here" % pattern) from None
        if changed != repository:
            return changed
    return repository


def _group(found: re.Match[str]) -> str:
    return r"\g<%s>" % (found.group(1) or found.group(2))


def login(config: str, host: str) -> tuple[str, str] | None:
    """Return (user, password) of a host in the text of containerd's configuration, None if it has no such login."""
    try:
        plugins = toml.parse(config).get("plugins", {})
    except toml.TomlError:
        return None
    for settings in plugins.values():
        try:
            auth = settings["registry"]["configs"][host]["auth"]
            return str(auth["username"]), str(auth["password"])
        except (KeyError, TypeError):
            continue
    return None


def base_url(url: str, override_path: bool | None) -> str:
    """Return the URL at which a host's API begins: the host's own path if override_path is set, otherwise with /v2."""
    url = (url if "://" in url else "https://" + url).rstrip("/")
    return url if override_path or url.endswith("/v2") else url + "/v2"
