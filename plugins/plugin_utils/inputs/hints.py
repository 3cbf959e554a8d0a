# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which key is meant by one that does not exist: written in another style, by another project's name, or misplaced."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping

from ..base.reference import COMPONENTS
from .groups import CUTOFF

# Names that other tools have for a key, by the map that has it.
OTHER_NAMES = {
    "kube_http_proxy": {"http_proxy": "http", "https_proxy": "https"},
    "kube_artifacts": {"mirror": "source", "url": "source"},
    "local_nodes": {"role": "groups", "roles": "groups"},
    "k3s_helm_charts": {"repo_url": "repo", "target_namespace": "namespace", "values_content": "values"},
}
# Keys of maps that the argument specs do not describe, by the map around them.
INSIDE = {
    "kube_network": dict.fromkeys(("args", "backend", "image", "mtu"), "options"),
    "kube_artifacts": dict.fromkeys(COMPONENTS, "versions"),
}


def near(name: str, known: Iterable[str], where: str = "") -> str:
    """Return what to write in place of an unknown name; empty if nothing is like it.

    known: the names that exist, or their specifications by name. where: path of the map; empty for inputs.
    """
    names = list(known)
    if not where:
        return _similar(name, names, CUTOFF)
    words = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).replace("-", "_").lower()
    place = where.partition("[")[0]
    meant = OTHER_NAMES.get(place, {}).get(words, words)
    if meant in names:
        return meant
    deeper = INSIDE.get(place, {}).get(words) or _deeper(words, known)
    return "%s.%s.%s" % (where, deeper, words) if deeper else _similar(words, names, 0.6)


def _deeper(name: str, known: Iterable[str]) -> str:
    """Return the key whose map has the name."""
    for key, spec in known.items() if isinstance(known, Mapping) else ():
        if name in (spec.get("options") or {}):
            return key + "[]" if spec.get("type") == "list" else str(key)
    return ""


def _similar(name: str, names: list[str], cutoff: float) -> str:
    return next(iter(difflib.get_close_matches(name, names, n=1, cutoff=cutoff)), "")
