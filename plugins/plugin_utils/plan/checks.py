# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What cannot work, found before anything is changed: every problem of every node at once.

Each function returns sentences. They name the node, the value, the limit and the way out.
"""

from __future__ import annotations

import re
from typing import Any

from ..base import quantity
from ..base.findings import Finding
from ..base.reference import (
    CGROUP_V1_PAGE,
    CGROUP_V1_REFUSED_FROM,
    CONTROL_PLANE_PORTS,
    GPU_PAGE,
    KUBEADM_MINIMUM,
    WORKER_PORTS,
)
from ..machine import capacity, kubelet as kubelet_config, memory_cgroup as board
from . import propose_roles as roles

# Processes that hold the cluster's ports when the cluster is ours and half done.
OWN_PROCESSES = (
    "kube-apiserver",
    "etcd",
    "kubelet",
    "kube-scheduler",
    "kube-controller",
    "kube-controller-manager",
    "kube-proxy",
    "haproxy",
    "k3s",
)
_NAME = re.compile(r"^[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?$")


def layout(control_planes: list, workers: list, exists: bool, needs: list, known: dict = None, external: bool = False) -> tuple:
    """(refusals, warnings) on how many nodes have which role.

    known: node_info of all hosts, for a proposal where no role is given. external: whether the datastore is elsewhere, and nobody votes here.
    """
    refusals, warnings = [], []
    if not control_planes:
        proposed = roles.sentence(known or {}) or "put one or three there"
        refusals.append("no host is in the group kube_control_plane (or server); %s" % proposed)
    count = len(control_planes)
    if external:
        if "high_availability" in needs and count == 1:
            refusals.append("kube_needs asks for high_availability, which takes two control planes; the inventory has one (%s)" % control_planes[0])
        return refusals, warnings
    if count == 2:
        (warnings if exists else refusals).append(
            "two control planes (%s): with two etcd members the loss of either stops the cluster; use one or three"
            % ", ".join(control_planes)
        )
    elif count and count % 2 == 0:
        warnings.append("%d control planes survive no more losses than %d; use an odd number" % (count, count - 1))
    if "high_availability" in needs and count == 1:
        refusals.append(
            "kube_needs asks for high_availability, which takes three control planes; the inventory has one (%s)"
            % control_planes[0]
        )
    return refusals, warnings


def needs(nodes: dict, wanted: list, registries: list) -> tuple:
    """(refusals, warnings) on what kube_needs asks of the machines and inputs, whichever the distribution.

    nodes: by host {role, info, inputs}. registries: those that the cluster's own images come from.
    """
    refusals, warnings = [], []
    if "air_gap" in wanted:
        for host, node in sorted(nodes.items()):
            if node["inputs"]["kube_artifacts"]["source"] == "upstream":
                refusals.append(
                    "%s: kube_needs asks for air_gap and kube_artifacts.source is upstream; set it to a mirror or a local directory (docs/mirrors.md)"
                    % host
                )
            mirrors = node["inputs"]["kube_registries"].get("mirrors") or {}
            lacking = [name for name in registries if name not in mirrors and "*" not in mirrors]
            if lacking:
                refusals.append(
                    "%s: kube_needs asks for air_gap and kube_registries.mirrors names none for %s; name one (docs/mirrors.md)"
                    % (host, ", ".join(lacking))
                )
    if "gpu_workers" in wanted and not any(node["info"].get("gpus") for node in nodes.values()):
        warnings.append(
            "kube_needs asks for gpu_workers and no node has an accelerator of NVIDIA's or AMD's on its PCI bus; add one that has (%s)"
            % GPU_PAGE
        )
    return refusals, warnings


def names(nodes: dict) -> list:
    """Node names that are invalid or not unique, and machine ids that are not unique. nodes: by host {name, info}."""
    problems, seen, machines = [], {}, {}
    for host, node in nodes.items():
        name = node["name"]
        if not _NAME.match(name):
            problems.append("%s: the node name %r is no valid DNS name (RFC 1123); set kube_node_name" % (host, name))
        seen.setdefault(name, []).append(host)
        if node["info"].get("machine_id"):
            machines.setdefault(node["info"]["machine_id"], []).append(host)
    for name, hosts in seen.items():
        if len(hosts) > 1:
            problems.append(
                "%s have the same node name %s; rename the hosts or set kube_node_name" % (" and ".join(hosts), name)
            )
    for machine, hosts in machines.items():
        if len(hosts) > 1:
            problems.append(
                "%s have the same machine id %s (a cloned disk?); remove /etc/machine-id there and run systemd-machine-id-setup"
                % (" and ".join(hosts), machine)
            )
    return problems


def clocks(nodes: dict, tolerance: float) -> list:
    """Nodes whose clock is further from the controller's than the others', by more than the tolerance in seconds."""
    offsets = {
        host: node["info"]["clock"]["offset_seconds"]
        for host, node in nodes.items()
        if (node["info"].get("clock") or {}).get("offset_seconds") is not None
    }
    if len(offsets) < 2:
        return []
    ordered = sorted(offsets.values())
    middle = ordered[len(ordered) // 2]
    wrong = {host: offset - middle for host, offset in offsets.items() if abs(offset - middle) > tolerance}
    return [
        "%s: the clock is %.0f s %s of the other nodes, the limit is %.0f s; set it (timedatectl) or let kube_time_service: chrony keep it"
        % (host, abs(offset), "ahead" if offset > 0 else "behind", tolerance)
        for host, offset in sorted(wrong.items())
    ]


# Without these parts of the facts nothing safe can be planned: what they hold is unknown, not absent.
ESSENTIAL_PARTS = ("cluster", "files", "services", "artifacts", "network", "owned")


def failed_parts(name: str, info: dict[str, Any]) -> list[Finding]:
    """Check that every part of a node's facts that the plan depends on could be read."""
    failed = info.get("failed_parts") or {}
    return [
        Finding(
            "look.part_failed",
            "%s: the part %r of its facts could not be read (%s). Correct that on the node and run again." % (name, part, failed[part]),
            node=name,
            value=part,
        )
        for part in ESSENTIAL_PARTS
        if part in failed
    ]


def at_once(text: str) -> list:
    """What is wrong with a number of nodes to change together."""
    if re.fullmatch(r"[1-9][0-9]*|([1-9][0-9]?|100)%", text):
        return []
    return ["kube_workers_at_once %r is neither a number of nodes, such as 2, nor a share of them, such as 20%%" % text]


def host(name: str, info: dict, role: str, inputs: dict, version: tuple, member: bool) -> tuple:
    """(refusals, warnings) on one machine for a node of this role, whichever the distribution."""
    refusals, warnings = [], []
    _platform(name, info, inputs, version, refusals, warnings)
    if not member:
        _disks(name, info, role, refusals, warnings)
        refusals += _pressure(
            name, info, kubelet_config.kubelet_config(info, inputs, version).get("evictionHard") or {}
        )
    warnings += firewall(name, info)
    warnings += ["%s: %s" % (name, text) for text in info.get("warnings") or []]
    return refusals, warnings


def _platform(name, info, inputs, version, refusals, warnings):
    group = info["cgroup"]["version"]
    if group != "v2" and version[:2] >= CGROUP_V1_REFUSED_FROM and not inputs["kube_allow_cgroup_v1"]:
        refusals.append(
            "%s: cgroup %s, which the kubelet refuses from %d.%d on; boot with systemd.unified_cgroup_hierarchy=1, or set kube_allow_cgroup_v1: true (%s)"
            % (name, group, *CGROUP_V1_REFUSED_FROM, CGROUP_V1_PAGE)
        )
    refusals += board.problems(name, info, inputs["kube_allow_reboot"])
    warnings += board.warnings(name, info, inputs["kube_journald"], inputs["kube_allow_reboot"])
    for module in ("overlay", "br_netfilter"):
        if info["kernel"]["modules"].get(module) == "missing":
            hint = (
                "install kernel-modules-extra"
                if info["os"].get("family") == "redhat"
                else "install the kernel's modules package"
            )
            refusals.append(
                "%s: the kernel %s has no module %s; %s and boot it" % (name, info["kernel"]["release"], module, hint)
            )
    if info.get("usr_read_only"):
        warnings.append("%s: /usr is read-only; programs go to /usr/local only if that is writable" % name)
    dns = info.get("dns") or {}
    if dns.get("loopback"):
        warnings.append(
            "%s: %s names a resolver on loopback, which pods cannot reach; CoreDNS would loop. Set kubelet_config.resolvConf to a file with the real servers"
            % (name, dns.get("resolv_conf"))
        )
    if not (info.get("clock") or {}).get("synchronised") and not (info.get("virtualization") or {}).get("container"):
        warnings.append(
            "%s: nothing keeps the clock right; etcd and certificates depend on it (kube_time_service: chrony installs it)"
            % name
        )


def _disks(name, info, role, refusals, warnings):
    need = KUBEADM_MINIMUM[role]
    for path, disk in sorted((info.get("disks") or {}).items()):
        if disk and disk.get("read_only"):
            refusals.append("%s: %s is on a read-only file system (%s)" % (name, path, disk["mount"]))
    disk = (info.get("disks") or {}).get("/var/lib/containerd") or {}
    if disk.get("free_bytes") is not None and disk["free_bytes"] < need["disk"]:
        warnings.append(
            "%s: %s free under %s, images and logs want %s"
            % (name, quantity.human(disk["free_bytes"]), disk["mount"], quantity.human(need["disk"]))
        )


def _pressure(name, info, eviction):
    """Disks so full that the kubelet would evict every pod from its first minute on.

    https://kubernetes.io/docs/concepts/scheduling-eviction/node-pressure-eviction/#eviction-signals
    """
    disks, found = info.get("disks") or {}, []
    for signal, end in (("imagefs.available", "/containerd"), ("nodefs.available", "/kubelet")):
        disk = next((disk for path, disk in sorted(disks.items()) if path.endswith(end) and disk), {})
        total, free = disk.get("total_bytes"), disk.get("free_bytes")
        if total and free is not None and free < capacity.amount(eviction.get(signal), total):
            sizes = (quantity.human(free), quantity.human(total), disk["mount"], signal, eviction[signal])
            found.append("%s of %s free under %s, and the kubelet evicts every pod below %s %s" % sizes)
    way_out = "%s: %s; free some, or set kubelet_config.evictionHard"
    return [way_out % (name, text) for text in found]


def firewall(name: str, info: dict) -> list:
    """Warnings on firewalls that are on: they are the host's, and not changed here; the plan lists what they must let through."""
    known = info.get("firewall") or {}
    found = [tool for tool in ("ufw", "firewalld") if known.get(tool) == "active"]
    warnings = ["%s: %s is active; it must let through what the plan lists" % (name, tool) for tool in found]
    if known.get("iptables_forward_policy") == "DROP":
        warnings.append(
            "%s: the firewall drops forwarded packets by default; pods of other nodes need a rule that accepts the pod networks"
            % name
        )
    return warnings


def ports(name: str, info: dict, role: str, api_port: int, endpoint: dict, held_too: list) -> list:
    """Ports that a node of this role needs and that another program holds. held_too: [(port, purpose)] of the distribution's own."""
    wanted = (
        list(CONTROL_PLANE_PORTS) + [(api_port, "kube-apiserver")] if role == "control_plane" else list(WORKER_PORTS)
    )
    wanted += held_too
    if role in endpoint["proxied"]:
        wanted.append((endpoint["port"], "API endpoint"))
    held = {item["port"]: item for item in info.get("ports") or [] if item.get("protocol") == "tcp"}
    problems = []
    for port, purpose in wanted:
        holder = held.get(port)
        if holder and not str(holder.get("process") or "").startswith(OWN_PROCESSES):
            problems.append(
                "%s: port %d (%s) is taken by %s; stop that, or change the port"
                % (name, port, purpose, holder.get("process") or "another program")
            )
    return problems
