# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Checks of one machine and of one node's inputs, whatever the distribution."""

from __future__ import annotations

from collections.abc import Mapping
from ipaddress import ip_address
from typing import Any

from ...base import quantity, versions
from ...base.distribution import Node, Problems
from ...base.findings import Finding
from ...base.model import Datastore
from ...base.reference import (
    CGROUP_V1_PAGE,
    CGROUP_V1_REFUSED_FROM,
    CONTROL_PLANE_PORTS,
    DISK,
    ETCD_PORTS,
    OLDEST_KERNEL,
    PACKAGE_FAMILIES,
    WORKER_PORTS,
)
from ...machine import capacity, containerd, kernel_modules, kubelet, memory_cgroup
from ...network import addresses, endpoint
from ..draft import Case
from . import occupants

Facts = Mapping[str, Any]
# Processes that hold the cluster's ports when the cluster is ours and half done, by the service that starts them.
OWN_PROCESSES = {
    "kubelet": ("kube-apiserver", "etcd", "kubelet", "kube-scheduler", "kube-controller", "kube-proxy"),
    "kube-endpoint": ("haproxy",),
    "k3s": ("k3s",),
    "k3s-agent": ("k3s",),
}
API_SERVER, API_ENDPOINT = "kube-apiserver", "API endpoint"
# The inputs of ports that users choose, by what the port is for.
_PORT_INPUTS = {API_SERVER: "kube_api_port", API_ENDPOINT: "kube_api_endpoint.port"}
HAPROXY_BOOLEAN = "haproxy_connect_any"
# Without these parts of the facts nothing safe can be planned: what they hold is unknown, not absent.
ESSENTIAL_PARTS = ("architecture", "cluster", "files", "services", "artifacts", "network", "owned", "occupied")
# systemd-machine-id-setup may take that of another machine: from D-Bus or the virtual machine's UUID.
NEW_MACHINE_ID = "tr -d - </proc/sys/kernel/random/uuid >/etc/machine-id"


def failed_parts(host: str, info: Facts) -> list[Finding]:
    """Return a refusal for each part of a node's facts that the plan depends on and that could not be read."""
    failed = info.get("failed_parts") or {}
    text = "%s: the part %r of its facts could not be read (%s). Correct that on the node and run again."
    return [
        Finding("look.part_failed", text % (host, part, failed[part]), host, part)
        for part in ESSENTIAL_PARTS
        if part in failed
    ]


def cgroup(case: Case, host: str, node: Node) -> Problems:
    """Check the cgroup version, which newer kubelets refuse, and the memory cgroup, which is off on small boards."""
    info, inputs = node["info"], node["inputs"]
    refusals = memory_cgroup.refusals(host, info, inputs["kube_allow_reboot"])
    version = info["cgroup"]["version"]
    too_new = versions.parse(case.cluster["version"])[:2] >= CGROUP_V1_REFUSED_FROM
    if version != "v2" and too_new and not inputs["kube_allow_cgroup_v1"]:
        limit = "%d.%d" % CGROUP_V1_REFUSED_FROM
        text = (
            "%s: has cgroup %s, which the kubelet refuses from Kubernetes %s on. Boot it with "
            "systemd.unified_cgroup_hierarchy=1, "
            "or set kube_allow_cgroup_v1: true (%s)."
        )
        shown = version or "of an unknown version"
        refusals.append(Finding("cgroup.v1", text % (host, shown, limit, CGROUP_V1_PAGE), host, version, limit))
    refusals += _controllers(host, info)
    return Problems(refusals, memory_cgroup.warnings(host, info, inputs["kube_journald"], inputs["kube_allow_reboot"]))


def _controllers(host: str, info: Facts) -> list[Finding]:
    """Refuse a unified tree without a controller that the kubelet and kubeadm need; memory has its own check.

    k8s.io/system-validators, types_unix.go, CgroupsV2.
    """
    there = info["cgroup"].get("controllers") or []
    missing = [name for name in ("cpu", "cpuset", "pids") if name not in there]
    if info["cgroup"]["version"] != "v2" or not there or not missing:
        return []
    shown = ", ".join(missing)
    text = "%s: /sys/fs/cgroup/cgroup.controllers does not have %s, and the kubelet needs it. A container gets its "
    text += "controllers from its host; otherwise boot a kernel that has them."
    return [Finding("cgroup.controller_missing", text % (host, shown), host, shown)]


def kernel(case: Case, host: str, node: Node) -> Problems:
    """Check that a new node's kernel has the modules of the container runtime, kube-proxy and the network plugin."""
    info, mode, plugin = node["info"], case.cluster["proxy_mode"], case.cluster["plugin"]
    wanted = [(name, "", "") for name in kernel_modules.missing(info, kernel_modules.RUNTIME)]
    if not case.joined[host]:
        if not case.distribution.without_kube_proxy(case.shared):
            other = ", or set kube_proxy_mode: nftables" if mode == "iptables" else ""
            missing = kernel_modules.for_proxy(info, mode)
            wanted += [(name, ", which kube-proxy needs for %s" % mode, other) for name in missing]
        missing = kernel_modules.missing(info, kernel_modules.BY_PLUGIN.get(plugin, ()))
        wanted += [(name, ", which the network plugin %s needs" % plugin, "") for name in missing]
    red_hat = info["os"].get("family") == "redhat"
    package = "kernel-modules-extra" if red_hat else "the kernel's package of extra modules"
    text = "%s: kernel %s has no module %s%s. Install %s and reboot%s."
    found: dict[str, Finding] = {}
    for name, why, way_out in wanted:
        values = (host, info["kernel"]["release"], name, why, package, way_out)
        found.setdefault(name, Finding("kernel.module_missing", text % values, host, name))
    return Problems(list(found.values()), [] if case.joined[host] else _old_kernel(host, info))


def _old_kernel(host: str, info: Facts) -> list[Finding]:
    """Warn of a kernel that is older than those that Kubernetes supports."""
    version = tuple(info["kernel"].get("version") or ())[:2]
    if not version or version >= OLDEST_KERNEL:
        return []
    limit = "%d.%d" % OLDEST_KERNEL
    text = "%s: kernel %s is older than %s, the oldest that Kubernetes supports. Boot a newer one."
    return [
        Finding("kernel.old", text % (host, info["kernel"]["release"], limit), host, info["kernel"]["release"], limit)
    ]


def system(case: Case, host: str, node: Node) -> Problems:
    """Warn of what harms a cluster later: a read-only /usr, a resolver on loopback, a clock that nothing keeps."""
    info, found = node["info"], []
    if info.get("usr_read_only"):
        text = "%s: /usr is read-only. Programs are installed in /usr/local, which must be writable."
        found.append(Finding("usr.read_only", text % host, host))
    dns = info.get("dns") or {}
    if dns.get("loopback"):
        text = (
            "%s: %s names a resolver on loopback, which pods cannot reach; CoreDNS would send queries to itself. "
            "Set kubelet_config.resolvConf to a file that names the real servers."
        )
        found.append(Finding("dns.loopback", text % (host, dns.get("resolv_conf")), host, dns.get("resolv_conf")))
    elif "nameservers" in dns and not dns["nameservers"] and not case.joined[host]:
        text = "%s: %s names no DNS server, and CoreDNS does not start without one. Name one there."
        found.append(Finding("dns.no_servers", text % (host, dns.get("resolv_conf") or "/etc/resolv.conf"), host))
    if not info.get("machine_id") and "machine_id" in info and not case.joined[host]:
        text = "%s: /etc/machine-id is empty, so that its Node cannot be told from that of another machine. Run there: "
        found.append(Finding("machine_id.missing", text % host + NEW_MACHINE_ID, host))
    if not (info.get("clock") or {}).get("synchronised") and not (info.get("virtualization") or {}).get("container"):
        text = (
            "%s: no time service keeps the clock correct; etcd and certificates depend on it. Set "
            "kube_time_service: chrony."
        )
        found.append(Finding("clock.not_synchronised", text % host, host))
    found += [Finding("look.warning", "%s: %s" % (host, text), host) for text in info.get("warnings") or []]
    return Problems([], found)


def packages(case: Case, host: str, node: Node) -> Problems:
    """Refuse packages that are missing and cannot be installed: with another system's names, or on a read-only /usr."""
    info = node["info"]
    missing = case.distribution.packages(node, case.cluster)
    known = info["os"].get("family") in PACKAGE_FAMILIES
    if not missing or known and not info.get("usr_read_only"):
        return Problems([], [])
    why = (
        "/usr is read-only"
        if known
        else "the package names of %s are not known" % (info["os"].get("id") or "its system")
    )
    names = ", ".join(missing)
    text = "%s: %s must be installed, and %s. Install them there with the system's own tool, and run this again."
    return Problems([Finding("packages.not_installable", text % (host, names, why), host, names)], [])


def selinux(case: Case, host: str, node: Node) -> Problems:
    """Check that SELinux lets the endpoint's HAProxy listen on its port and connect to the API servers.

    Its policy allows neither without the boolean haproxy_connect_any: haproxy_selinux(8).
    """
    info, place = node["info"], case.cluster["endpoint"]
    allowed = info.get("selinux_haproxy")
    if node["role"] not in place["proxied"] or info.get("selinux") != "enforcing" or allowed:
        return Problems([], [])
    text = "%s: SELinux does not let HAProxy serve the API endpoint on port %d. Run there: setsebool -P %s 1"
    found = Finding("selinux.haproxy", text % (host, place["port"], HAPROXY_BOOLEAN), host, "off", HAPROXY_BOOLEAN)
    if allowed is False:
        return Problems([found], [])
    if info["os"].get("family") != "redhat":
        return Problems([], [])
    text = "%s: SELinux enforces, and its boolean %s is unknown. If HAProxy does not start, turn it on."
    return Problems(
        [], [Finding("selinux.haproxy_unknown", text % (host, HAPROXY_BOOLEAN), host, None, HAPROXY_BOOLEAN)]
    )


def firewall(case: Case, host: str, node: Node) -> Problems:
    """Warn of firewalls that are on: they are the host's, and not changed here."""
    known, found = node["info"].get("firewall") or {}, []
    for tool in ("ufw", "firewalld"):
        if known.get(tool) == "active":
            text = "%s: %s is active. Let through the ports that the plan lists."
            found.append(Finding("firewall.active", text % (host, tool), host, tool))
    if known.get("iptables_forward_policy") == "DROP":
        text = "%s: the firewall drops forwarded packets by default. Add a rule that accepts the pods' networks."
        found.append(Finding("firewall.drops_forwarded", text % host, host))
    return Problems([], found)


def disks(case: Case, host: str, node: Node) -> Problems:
    """Check the space on a new machine's disks: enough, and not so little that all pods are evicted."""
    if case.joined[host]:
        return Problems([], [])
    info = node["info"]
    wanted = kubelet.config(info, node["inputs"], versions.parse(case.cluster["version"]))
    return Problems(_pressure(host, info, wanted.get("evictionHard") or {}), _small_disk(host, node))


def _small_disk(host: str, node: Node) -> list[Finding]:
    need = DISK[node["role"]]
    # The images' directory is the one that the node will have, wherever kube_data_dir puts it.
    there = node["info"].get("disks") or {}
    data = str(node["inputs"]["kube_data_dir"] or "/var/lib").rstrip("/")
    disk = there.get(data + "/containerd") or there.get(data + "/rancher/k3s/agent/containerd") or {}
    free = disk.get("free_bytes")
    if free is None or free >= need:
        return []
    text = "%s: %s free under %s, images and logs need about %s."
    return [
        Finding(
            "disk.small", text % (host, quantity.human(free), disk["mount"], quantity.human(need)), host, free, need
        )
    ]


def _pressure(host: str, info: Facts, eviction: Mapping[str, str]) -> list[Finding]:
    """Refuse disks so full that the kubelet would evict every pod from its first minute on.

    https://kubernetes.io/docs/concepts/scheduling-eviction/node-pressure-eviction/#eviction-signals
    """
    there, found = info.get("disks") or {}, []
    for signal, end in (("imagefs.available", "/containerd"), ("nodefs.available", "/kubelet")):
        disk: Facts = next((disk for path, disk in sorted(there.items()) if path.endswith(end) and disk), {})
        total, free, limit = disk.get("total_bytes"), disk.get("free_bytes"), eviction.get(signal)
        if total and free is not None and free < capacity.amount(limit, total):
            text = (
                "%s: %s of %s free under %s, and the kubelet evicts all pods below %s %s. Free some, or set "
                "kubelet_config.evictionHard."
            )
            values = (host, quantity.human(free), quantity.human(total), disk["mount"], signal, limit)
            found.append(Finding("disk.full", text % values, host, free, limit))
    return found


def ports(case: Case, host: str, node: Node) -> Problems:
    """Refuse a newcomer whose ports another program holds."""
    if case.joined[host]:
        return Problems([], [])
    place, role, info = case.cluster["endpoint"], node["role"], node["info"]
    external = Datastore.parse(case.cluster["datastore"]).is_external
    servers = [row for row in CONTROL_PLANE_PORTS if not (external and row[0] in ETCD_PORTS)]
    servers.append((case.cluster["api_port"], API_SERVER))
    wanted = (servers if role == "control_plane" else list(WORKER_PORTS)) + case.distribution.ports_held(place)
    if role in place["proxied"]:
        wanted.append((place["port"], API_ENDPOINT))
    held = {item["port"]: item for item in info.get("ports") or [] if item.get("protocol") == "tcp"}
    made_here = [name for unit, names in OWN_PROCESSES.items() if occupants.has_unit(info, unit) for name in names]
    found = []
    for port, purpose in wanted:
        holder = held.get(port)
        process = str((holder or {}).get("process") or "")
        if holder and not process.startswith(tuple(made_here)):
            text = "%s: port %d (%s) is used by %s. Stop that program, or %s."
            way_out = "set " + _PORT_INPUTS[purpose] if purpose in _PORT_INPUTS else "let it use another port"
            values = (host, port, purpose, process or "another program", way_out)
            found.append(Finding("port.used", text % values, host, port, process or None))
    return Problems(found, [])


def virtual_address(case: Case, host: str, node: Node) -> Problems:
    """Check that a control plane has an interface for the endpoint's virtual address."""
    place = case.cluster["endpoint"]
    wanted = node["inputs"]["kube_api_endpoint"]
    if place["mode"] != "vip" or node["role"] != "control_plane" or not addresses.is_address(wanted.get("address")):
        return Problems([], [])
    address = ip_address(wanted["address"])
    if address.is_loopback or address.is_link_local:
        return Problems([], [])  # refused for the whole cluster
    return Problems(endpoint.check_virtual_address(host, place, wanted, node["info"]["network"], node["address"]), [])


def maps(case: Case, host: str, node: Node) -> Problems:
    """Check the inputs that are maps for the kubelet, the registries and the manifests."""
    values = node["inputs"]
    shares_images = case.distribution.shares_images(values)
    found = kubelet.refusals(values["kubelet_config"])
    rewrites = case.distribution.registry_rewrites
    found += containerd.refusals(values["kube_registries"], rewrites, shares_images)
    for manifest in values["kube_manifests"]:
        if manifest.get("state") == "present" and bool(manifest.get("content")) == bool(manifest.get("src")):
            text = "kube_manifests[%s]: set either content or src."
            found.append(Finding("manifests.content_or_src", text % manifest.get("name"), value=manifest.get("name")))
    return Problems(found, containerd.warnings(values["kube_registries"], rewrites, shares_images))
