# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Read containerd's hosts.toml, the hosts that a registry's images are pulled from. Standard library only.

https://github.com/containerd/containerd/blob/main/docs/hosts.md
"""

from __future__ import annotations

import glob
import os
import re
from typing import Any, Dict, Iterator

CERTS = "/etc/containerd/certs.d"
# {url, capabilities, ca, client, skip_verify, override_path, header}.
Host = Dict[str, Any]
_TABLE = re.compile(r"^\[(.+)\]\s*(?:#.*)?$")
_PAIR = re.compile(r"""^("[^"]+"|'[^']+'|[\w-]+)\s*=\s*(.+)$""")
_PART = re.compile(r""""((?:[^"\\]|\\.)*)"|'([^']*)'|([\w-]+)""")
_STRING = re.compile(r""""((?:[^"\\]|\\.)*)"|'([^']*)'""")
_ESCAPES = {"n": "\n", "t": "\t", "r": "\r"}


def load(root: str = CERTS) -> dict[str, list[Host]]:
    """Return the hosts of each registry with a hosts.toml under certs.d."""
    found = {}
    for path in sorted(glob.glob(root + "/*/hosts.toml")):
        with open(path, encoding="utf-8", errors="replace") as stream:
            found[os.path.basename(os.path.dirname(path))] = hosts(stream.read())
    return found


def hosts(text: str) -> list[Host]:
    """Return the hosts in the text of a hosts.toml, in the order in which containerd tries them."""
    order: Dict[str, Host] = {}
    place: Dict[str, Any] | None = None
    for line in _joined(text):
        table, pair = _TABLE.match(line), _PAIR.match(line)
        if table:
            keys = [_unescaped(one) or other or word for one, other, word in _PART.findall(table.group(1))]
            place = None
            if len(keys) > 1 and keys[0] == "host":
                host = order.setdefault(keys[1], {"url": keys[1], "header": {}})
                place = host["header"] if keys[2:] == ["header"] else host
        elif pair and place is not None:
            place[pair.group(1).strip("\"'")] = _value(pair.group(2))
    return list(order.values())


def _joined(text: str) -> Iterator[str]:
    """Yield the lines without comments, and an array over several lines as one."""
    pending = ""
    for line in text.splitlines():
        if not line.strip() or line.strip().startswith("#"):
            continue
        pending = (pending + " " + line.strip()).strip()
        if pending.startswith("[") or pending.count("[") <= pending.count("]"):
            yield pending
            pending = ""


def _value(text: str) -> str | list[str] | bool:
    """Return a string, a list of strings or a boolean."""
    strings = [_unescaped(one) or other for one, other in _STRING.findall(text)]
    if text.startswith("["):
        return strings
    if strings:
        return strings[0]
    return text.split("#")[0].strip() == "true"


def _unescaped(text: str) -> str:
    return re.sub(r"\\(.)", lambda found: _ESCAPES.get(found.group(1), found.group(1)), text)


def base_url(url: str, override_path: bool | None) -> str:
    """Return the URL at which a host's API begins: the host's own path if override_path is set, otherwise with /v2."""
    url = (url if "://" in url else "https://" + url).rstrip("/")
    return url if override_path or url.endswith("/v2") else url + "/v2"
