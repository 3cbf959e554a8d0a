# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How long the certificates of running nodes are valid. The playbook rotate renews them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

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
    return Problems(refusals, warnings)
