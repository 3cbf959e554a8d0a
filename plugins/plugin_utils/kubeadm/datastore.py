# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where a kubeadm cluster stores its state: an etcd member on each control plane, or an etcd elsewhere.

https://kubernetes.io/docs/setup/production-environment/tools/kubeadm/ha-topology/
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ..base.distribution import Inputs, Reason, etcd_reason
from ..base.findings import reason
from ..base.model import Datastore, Placement
from ..base.reference import KUBEADM_ETCD_PAGE

STACKED = str(Datastore("etcd", Placement.STACKED))
EXTERNAL = str(Datastore("etcd", Placement.EXTERNAL))


def choose(shared: Inputs, control_planes: Sequence[str]) -> tuple[str, list[Reason]]:
    """Return the datastore and the reasons for it."""
    count = len(control_planes)
    if is_external(shared):
        text = "external etcd: set in kubeadm_cluster_config; the cluster depends on it"
        return EXTERNAL, [reason("datastore", None, count, None, KUBEADM_ETCD_PAGE, text)]
    return STACKED, [etcd_reason(count)]


def is_external(shared: Inputs) -> bool:
    """Return True if kubeadm_cluster_config names an etcd that others run."""
    etcd = (shared.get("kubeadm_cluster_config") or {}).get("etcd")
    return bool(isinstance(etcd, Mapping) and etcd.get("external"))


def places(shared: Inputs) -> list[str]:
    """Return the URLs of an etcd that others run."""
    external = shared["kubeadm_cluster_config"]["etcd"]["external"] if is_external(shared) else {}
    return [str(text) for text in (external.get("endpoints") or [])] if isinstance(external, Mapping) else []


def access(shared: Inputs) -> dict[str, str]:
    """Return how a control plane reaches an etcd that others run: {servers, cafile, certfile, keyfile}; {} without one.

    Fields: https://kubernetes.io/docs/reference/config-api/kubeadm-config.v1beta4/#kubeadm-k8s-io-v1beta4-ExternalEtcd
    """
    if not places(shared):
        return {}
    external = shared["kubeadm_cluster_config"]["etcd"]["external"]
    files = {"cafile": "caFile", "certfile": "certFile", "keyfile": "keyFile"}
    given = {name: str(external[field]) for name, field in files.items() if external.get(field)}
    return {"servers": ",".join(places(shared)), **given}


def disk(disks: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """Return the disk under a control plane's etcd, None where it is unknown."""
    return disks.get("/var/lib/etcd")
