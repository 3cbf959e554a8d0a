# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Checks of what other programs have on a new node: container runtimes, and data where the node will keep its own.

They are refused before anything is changed: a node would replace the runtime under others' containers, or write its
data among theirs.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ....module_utils.node import services as managers
from ...base.distribution import Node, Problems
from ...base.findings import Finding
from ...base.model import Datastore
from ...network import plugins
from ...network.addresses import IPVS_INTERFACE
from ..draft import Case

Facts = Mapping[str, Any]
# Data that only control planes with an etcd of their own have, and the service that makes them.
ETCD_DATA = "/var/lib/etcd"
RUNS = ("active", "activating", "reloading")
# The files that libcni reads.
CNI_ENDINGS = (".conf", ".conflist", ".json")
STARTS_AT_BOOT = ("enabled", "enabled-runtime", "static")


def has_unit(info: Facts, name: str) -> bool:
    """Return True if a service of this name on the machine is the collection's."""
    files = (info.get("owned") or {}).get("files") or {}
    return any(manager.path(name) in files for manager in (managers.Systemd, managers.OpenRC))


def runtimes(case: Case, host: str, node: Node) -> Problems:
    """Refuse a machine on which another container runtime is in the way of the node's own."""
    info, found = node["info"], []
    if (info.get("cluster") or {}).get("kind"):
        return Problems([], [])  # a member, or another tool's cluster, which is refused as such
    for name, why in sorted(case.distribution.runtimes_in_the_way.items()):
        service = (info.get("services") or {}).get(name) or {}
        used = service.get("active") in RUNS or service.get("enabled") in STARTS_AT_BOOT
        if used and not has_unit(info, name) and not has_unit(info, case.distribution.runtime_unit(node["role"])):
            state = "runs" if service.get("active") in RUNS else "starts at boot"
            text = "%s: the service %s %s, and %s." % (host, name, state, why)
            found.append(Finding("host.other_runtime", text, host, name))
    return Problems(found, [])


def data(case: Case, host: str, node: Node) -> Problems:
    """Refuse a machine where others' files are in a directory that the node needs for itself."""
    info, found = node["info"], []
    if (info.get("cluster") or {}).get("kind"):
        return Problems([], [])
    claimed = (info.get("owned") or {}).get("data") or {}
    # Data of a runtime that is refused stay while it does: only etcd's are another matter.
    runtime = bool(runtimes(case, host, node).refusals)
    stacked = node["role"] == "control_plane" and not Datastore.parse(case.cluster["datastore"]).is_external
    for path, names in sorted((info.get("occupied") or {}).items()):
        ours = path in claimed and not claimed[path]["before"]
        if ours or path not in case.distribution.places_for_itself(node):
            continue
        if not stacked if path == ETCD_DATA else runtime:
            continue
        text = (
            "%s: %s is not empty (%s), and the collection did not make what is there. Move it to another place, or "
            "remove it if nothing needs it."
        )
        found.append(Finding("host.data_in_the_way", text % (host, path, _some(names)), host, path))
    return Problems(found, [])


def cni_files(case: Case, host: str, node: Node) -> Problems:
    """Refuse a machine whose containerd would give pods another program's network until the cluster's own is there.

    containerd takes the first file by name: https://github.com/containerd/go-cni (max_conf_num). A plugin that users
    install may bring its file with the machine.
    """
    info = node["info"]
    used = case.distribution.uses_hosts_cni and case.cluster["plugin"] != plugins.USER
    if not used or has_unit(info, case.distribution.unit(node["role"])) or (info.get("cluster") or {}).get("kind"):
        return Problems([], [])
    own = plugins.by_name(case.cluster["plugin"]).traces.cni_files
    names = (info.get("cluster") or {}).get("cni_conf") or []
    others = [name for name in names if name.endswith(CNI_ENDINGS) and name not in own]
    text = (
        "%s: /etc/cni/net.d has %s of another program, and the first pods would get its network. Move it to another "
        "place, or remove it if nothing needs it."
    )
    value = _some(others)
    return Problems([Finding("host.other_cni", text % (host, value), host, value)] if others else [], [])


def addresses_of_services(_case: Case, host: str, node: Node) -> Problems:
    """Refuse a newcomer that answers for the Services of an older cluster itself: kube-proxy's interface stays there.

    pkg/proxy/ipvs/proxier.go in mode ipvs: it binds the addresses of all Services to this interface.
    """
    info = node["info"]
    rows = [row for row in info["network"].get("interfaces") or [] if row["name"] == IPVS_INTERFACE]
    held = [item["address"] for row in rows for item in row.get("addresses") or [] if item.get("scope") == "global"]
    if not held or (info.get("cluster") or {}).get("kubelet_conf"):
        return Problems([], [])
    text = (
        "%s: the interface %s of an older cluster has the addresses of its Services (%s), so the host would answer for "
        "them itself. Remove it: ip link delete %s."
    )
    values = (host, IPVS_INTERFACE, _some(held), IPVS_INTERFACE)
    return Problems([Finding("host.ipvs_left_over", text % values, host, held)], [])


def _some(names: list[str]) -> str:
    return ", ".join(names[:3]) + (" and %d more" % (len(names) - 3) if len(names) > 3 else "")
