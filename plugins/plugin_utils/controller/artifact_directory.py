# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A directory on the controller that programs come from: what is missing in it, and what each node needs of it."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import unquote

from ..base.findings import Finding
from ..base.model import Plan

SHOWN = 4  # so many missing files are named in the text; all of them are the finding's value


def is_directory(source: str) -> bool:
    """Return True if the input kube_artifacts.source names a directory on the controller."""
    return source not in ("", "upstream") and "://" not in source


def paths(items: Iterable[Mapping[str, Any]]) -> list[str]:
    """Return the paths below the source of these items' files: each file, and the one with its checksum."""
    urls = [item[key] for item in items for key in ("url", "checksum_url") if item.get(key)]
    return sorted({unquote(url.split("://", 1)[1]) for url in urls})


def missing(plan: Plan, hosts: Mapping[str, Mapping[str, Any]]) -> list[Finding]:
    """Return a refusal for each directory on the controller that does not exist or has not all files that nodes need.

    hosts: by inventory name {inputs}.
    """
    needed: dict[str, dict[str, list[str]]] = {}
    for host, node in plan["nodes"].items():
        source = str(((hosts[host]["inputs"].get("kube_artifacts") or {}).get("source")) or "upstream")
        if is_directory(source) and "programs" in node.get("steps", {}):
            needed.setdefault(source, {})[host] = paths(node["programs"])
    return [finding for source, by_host in needed.items() for finding in missing_in(source, by_host)]


def missing_in(source: str, by_host: Mapping[str, list[str]]) -> list[Finding]:
    """Return a refusal for a directory that has not all files. by_host: the paths that each node needs."""
    root = os.path.expanduser(source)
    node = next(iter(by_host)) if len(by_host) == 1 else None
    if not os.path.isdir(root):
        text = "kube_artifacts.source %s is not a directory on the controller. Create it, or correct the path." % source
        return [Finding("artifacts.no_directory", text, node, source)]
    absent = [path for path in sorted(set().union(*by_host.values())) if not os.path.isfile(os.path.join(root, path))]
    if not absent:
        return []
    more = " and %d more (see value in plan.json)" % (len(absent) - SHOWN) if len(absent) > SHOWN else ""
    concerned = [host for host, wanted in by_host.items() if set(wanted) & set(absent)]
    text = "%s on the controller is missing %d file%s that %s %s: %s%s. Put them there, or change kube_artifacts." % (
        source,
        len(absent),
        "" if len(absent) == 1 else "s",
        ", ".join(concerned) if len(concerned) <= SHOWN else "%d nodes" % len(concerned),
        "needs" if len(concerned) == 1 else "need",
        ", ".join(absent[:SHOWN]),
        more,
    )
    return [Finding("artifacts.file_missing", text, node, absent)]
