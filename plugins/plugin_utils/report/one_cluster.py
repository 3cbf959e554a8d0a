# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether all control planes are of one cluster, by what each says of its own (module_utils/verify/identity.py)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ...module_utils.verify.identity import SQLITE
from .verify import Check, failed

HINT = "keep the one with your data; reset the other control planes and run site again"


def checks(probed: Mapping[str, Mapping[str, Any]], control_planes: Sequence[str]) -> list[Check]:
    """Return failed checks; none if all control planes are of one cluster.

    probed: by node name what node_probe returned there. control_planes: node names. One that gave no answer at all has
    a failed check already.
    """
    hosts = {name: probed[name] for name in control_planes if "checks" in (probed.get(name) or {})}
    found = [check for name, answer in hosts.items() for check in _unknown(name, answer)]
    said = {name: answer["cluster"] for name, answer in hosts.items() if answer.get("cluster")}
    stores = _groups(said, "datastore")
    if len(stores) > 1:
        text = "the control planes have different datastores, so they are several clusters: %s"
        found.append(failed("etcd", text % _shown(stores), None, HINT))
    elif len(stores.get(SQLITE, ())) > 1:
        text = "each of %s has a SQLite database of its own, so they are several clusters"
        found.append(failed("API server", text % ", ".join(stores[SQLITE]), None, HINT))
    clusters, uids = _groups(said, "etcd_cluster"), _groups(said, "uid")
    if len(clusters) > 1:
        # The words of module_utils/verify/etcd.py, which asks the members in one member's list.
        text = "the members are of %d clusters: %s"
        found.append(failed("etcd", text % (len(clusters), _shown(clusters)), None, HINT))
    if len(uids) > 1:
        text = "the API servers are of %d clusters, by the UID of kube-system: %s"
        found.append(failed("API server", text % (len(uids), _shown(uids)), None, HINT))
    return found


def _unknown(name: str, answer: Mapping[str, Any]) -> list[Check]:
    """Return a failed check if it is unknown which cluster a control plane is of, and no other check says why."""
    cluster = answer.get("cluster")
    if cluster is None:
        problem = "it is a control plane in the inventory and runs no API server, or its kubeconfig names another one"
    else:
        problem = "; ".join(cluster["problems"])
    if not problem or any(item["status"] == "fail" for item in answer["checks"]):
        return []
    return [failed("API server", problem, name, "run site again, or look at the control plane's logs")]


def _groups(said: Mapping[str, Mapping[str, Any]], key: str) -> dict[str, list[str]]:
    """Return {value: names of those that say it}."""
    found: dict[str, list[str]] = {}
    for name in sorted(said):
        if said[name].get(key):
            found.setdefault(str(said[name][key]), []).append(name)
    return found


def _shown(groups: Mapping[str, Sequence[str]]) -> str:
    return "; ".join("%s on %s" % (value, ", ".join(names)) for value, names in sorted(groups.items()))
