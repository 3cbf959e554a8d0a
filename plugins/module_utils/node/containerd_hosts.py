# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""containerd's hosts.toml: which hosts a registry's images come from. Standard library only.

https://github.com/containerd/containerd/blob/main/docs/hosts.md
"""

from __future__ import annotations

import glob
import os
import re

CERTS = "/etc/containerd/certs.d"
_TABLE = re.compile(r"^\[(.+)\]\s*(?:#.*)?$")
_PAIR = re.compile(r"""^("[^"]+"|'[^']+'|[\w-]+)\s*=\s*(.+)$""")
_PART = re.compile(r""""((?:[^"\\]|\\.)*)"|'([^']*)'|([\w-]+)""")
_STRING = re.compile(r""""((?:[^"\\]|\\.)*)"|'([^']*)'""")
_ESCAPES = {"n": "\n", "t": "\t", "r": "\r"}


def load(root=CERTS):
    """{registry: [host]} of all files under certs.d; host: {url, capabilities, ca, client, skip_verify, override_path, header}."""
    found = {}
    for path in sorted(glob.glob(root + "/*/hosts.toml")):
        with open(path, encoding="utf-8", errors="replace") as stream:
            found[os.path.basename(os.path.dirname(path))] = hosts(stream.read())
    return found


def hosts(text):
    """The hosts of one file, in the order in which containerd tries them."""
    order, place = {}, None
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


def _joined(text):
    """Lines without comments, an array over several lines as one."""
    pending = ""
    for line in text.splitlines():
        if not line.strip() or line.strip().startswith("#"):
            continue
        pending = (pending + " " + line.strip()).strip()
        if pending.startswith("[") or pending.count("[") <= pending.count("]"):
            yield pending
            pending = ""


def _value(text):
    """A string, a list of strings, or a truth value."""
    strings = [_unescaped(one) or other for one, other in _STRING.findall(text)]
    if text.startswith("["):
        return strings
    if strings:
        return strings[0]
    return text.split("#")[0].strip() == "true"


def _unescaped(text):
    return re.sub(r"\\(.)", lambda found: _ESCAPES.get(found.group(1), found.group(1)), text)


def base_url(url, override_path):
    """Where a host's API begins: its own path if it says so, else that and /v2."""
    url = (url if "://" in url else "https://" + url).rstrip("/")
    return url if override_path or url.endswith("/v2") else url + "/v2"
