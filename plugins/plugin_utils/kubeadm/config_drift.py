# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where a running cluster's ClusterConfiguration differs from the wanted one, and what of it cannot be changed any more."""

from __future__ import annotations

import yaml

from ..inputs import lifecycle

# What a cluster keeps for life: inputs by their place in ClusterConfiguration.
FIXED = lifecycle.configurations()


def stored(live: dict) -> dict:
    """The ClusterConfiguration that kubeadm keeps in the cluster; empty where there is none or it cannot be read."""
    try:
        found = yaml.safe_load(((live or {}).get("kubeadm_config") or {}).get("ClusterConfiguration") or "")
    except yaml.YAMLError:
        return {}
    return found if isinstance(found, dict) else {}


def fixed(there: dict, wanted: dict) -> list:
    """Sentences on differences that no change of a running cluster can bring about."""
    problems = []
    for path, name in FIXED.items():
        old, new = _at(there, path), _at(wanted, path)
        if there and old is not None and old != new:
            problems.append(
                "%s: the running cluster has %s and keeps it for life, the inventory says %s; put it back, or make a new cluster"
                % (name, old, new)
            )
    return problems


def changed(there: dict, wanted: dict) -> list:
    """Sentences on what the control planes are to be told anew. Fields that only kubeadm fills in do not count."""
    skip = {path[0] for path in FIXED if len(path) == 1} | {"networking", "kubernetesVersion", "apiVersion", "kind"}
    found = [
        "%s is %r, not %r" % (key, there.get(key), value)
        for key, value in wanted.items()
        if there and key not in skip and not _holds(there.get(key), value)
    ]
    for part in ("apiServer", "controllerManager", "scheduler"):
        extra = _at(there, (part, "extraArgs"))
        if extra and not _at(wanted, (part, "extraArgs")):
            found.append("%s.extraArgs %r are to be dropped" % (part, extra))
    return found


def _at(document, path):
    for key in path:
        document = document.get(key) if isinstance(document, dict) else None
    return document


def _holds(there, wanted):
    """Whether the stored value says all that the wanted one does."""
    if isinstance(wanted, dict):
        return all(_holds((there or {}).get(key), value) for key, value in wanted.items())
    return there == wanted or not there and not wanted
