# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where programs come from when that is a directory on the controller: what lacks there, and what each node needs of it."""

from __future__ import annotations

import os
from urllib.parse import unquote


def is_directory(source: str) -> bool:
    """Whether the input kube_artifacts.source names a directory on the controller."""
    return source not in ("", "upstream") and "://" not in source


def paths(items: list) -> list:
    """Paths below the source of the files that these items need: the file itself, and the one with its checksum."""
    urls = [item[key] for item in items for key in ("url", "checksum_url") if item.get(key)]
    return sorted({unquote(url.split("://", 1)[1]) for url in urls})


def missing(plan: dict, hosts: dict) -> list:
    """Sentences on files that the controller's directory lacks and a node needs."""
    lacking = {}
    for host, node in plan["nodes"].items():
        source = str(((hosts[host]["inputs"].get("kube_artifacts") or {}).get("source")) or "upstream")
        if not is_directory(source) or "programs" not in node["steps"]:
            continue
        for path in paths(node["programs"]):
            full = os.path.join(os.path.expanduser(source), path)
            if not os.path.isfile(full):
                lacking.setdefault(full, []).append(host)
    return [
        "%s is missing, which %s needs; put it there or change kube_artifacts" % (path, ", ".join(where))
        for path, where in sorted(lacking.items())
    ]
