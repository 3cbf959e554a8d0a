# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How long the certificates of running nodes are valid. The playbook rotate renews them."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from ....module_utils.api import kubelet
from ....module_utils.api.certificates import AUTHORITIES
from ....module_utils.verify.node import WARNING_DAYS
from ...base.distribution import Problems
from ...base.findings import Finding
from ..draft import Case


def next_of(info: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return {name, days_left} of the certificate of a control plane that expires next; None if none is known."""
    known = (info.get("cluster") or {}).get("certificates") or {}
    # Those of K3s are named by their paths.
    rows = [(row["days_left"], name) for name, row in known.items() if name in AUTHORITIES or "/" in name]
    return {"name": min(rows)[1], "days_left": min(rows)[0]} if rows else None


def serving_of(info: Mapping[str, Any] | None) -> Mapping[str, Any]:
    """Return {kind, days_left, life_days, waits} of what the kubelet of a node serves; {} if that is unknown."""
    return (((info or {}).get("cluster") or {}).get("renewal") or {}).get("serving") or {}


def served_by_kubelets(
    infos: Mapping[str, Mapping[str, Any]], names: Mapping[str, str], kinds: Collection[str]
) -> list[Finding]:
    """Warn of serving certificates of kubelets that end soon, or are missing. names: of the Nodes, by host."""
    found = []
    for host, info in sorted(infos.items()):
        known = serving_of(info)
        kind = known.get("kind")
        if kind not in kinds:
            continue
        way_out = kubelet.way_out(str(kind), names[host])
        # The kubelet asks for another one when 10 to 30 percent are left.
        limit = min(WARNING_DAYS, known["life_days"] / 10) if kind == kubelet.SIGNED else WARNING_DAYS
        if kind == kubelet.NONE:
            text = (
                "%s: its kubelet serves no certificate, because none was signed, so logs and exec of its pods fail. %s."
            )
            found.append(Finding("certificates.kubelet_serves_none", text % (host, way_out), host))
        elif known["days_left"] < limit:
            days = known["days_left"]
            state = "has expired" if days < 0 else "has %d days left" % days
            text = "%s: the certificate that its kubelet serves %s. %s."
            values = (host, state, way_out)
            found.append(Finding("certificates.kubelet_serving", text % values, host, days, round(limit)))
    return found


def validity(case: Case) -> Problems:
    """Warn of certificates that expire soon. Refuse to wait for a cluster that cannot start without new ones."""
    refusals: list[Finding] = []
    warnings: list[Finding] = []
    for host in (host for host in case.control_planes if host in case.nodes):
        found = next_of(case.nodes[host]["info"])
        if found is None or found["days_left"] >= WARNING_DAYS:
            continue
        name, days = found["name"], found["days_left"]
        if days < 0:
            waits = case.state["start"] == "wait" and not case.distribution.renews_at_start
            text = "%s: its certificate %s has expired. Run kubewright.cluster.rotate: it renews them."
            expired = Finding("certificates.expired", text % (host, name), host, days, 0)
            (refusals if waits else warnings).append(expired)
        else:
            text = "%s: its certificate %s has %d days left. Renew it with kubewright.cluster.rotate."
            warnings.append(Finding("certificates.expire_soon", text % (host, name, days), host, days, WARNING_DAYS))
    infos = {host: node["info"] for host, node in case.nodes.items()}
    names = {host: node["name"] for host, node in case.nodes.items()}
    kinds = (kubelet.SELF_SIGNED, kubelet.SIGNED, kubelet.GIVEN, kubelet.NONE)
    return Problems(refusals, warnings + served_by_kubelets(infos, names, kinds))
