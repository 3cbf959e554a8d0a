# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The names of archives. They sort by time. Standard library only."""

from __future__ import annotations

import re
from typing import Any, Dict, Iterable, Mapping

PLAIN, ENCRYPTED = ".tar.gz", ".tar.gz.age"
# What follows prefix() in the name of a finished archive.
TIME = r"\d{8}T\d{6}Z\.tar\.gz(\.age)?"


def prefix(manifest: Mapping[str, Any]) -> str:
    """Return how the names of all archives of one cluster begin; two clusters of one name have different ones."""
    cluster = manifest["cluster"]
    return "%s-%s-" % (re.sub(r"[^A-Za-z0-9._-]", "_", str(cluster["name"])), str(cluster["uid"])[:8])


def newest(names: Iterable[str]) -> Dict[str, str]:
    """Return the newest archive of each cluster, by how the names of its archives begin."""
    found: Dict[str, str] = {}
    for name in sorted(names):
        match = re.fullmatch("(.+-)" + TIME, name)
        if match:
            found[match.group(1)] = name
    return found


def file_name(manifest: Mapping[str, Any], encrypted: bool) -> str:
    """Return the name of a new archive."""
    moment = re.sub(r"[-:]", "", str(manifest["created"]))
    return prefix(manifest) + moment + (ENCRYPTED if encrypted else PLAIN)
