# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Facts of machines to plan for, as node_info gives them."""

from __future__ import annotations

import copy
import hashlib
import json

import yaml
from ansible_collections.kubewright.cluster.plugins.module_utils.api.applied_objects import digest
from ansible_collections.kubewright.cluster.plugins.module_utils.api.owned_objects import ANNOTATION, identity
from ansible_collections.kubewright.cluster.plugins.module_utils.node import os_settings, paths
from ansible_collections.kubewright.cluster.plugins.plugin_utils.network import plugins as network

GIB = 2**30


def machine(name="cp-1", address="10.0.0.11", memory=4 * GIB, cpus=4, **changes):
    """node_info of a bare Debian host, with changes (nested with double underscores: os__family="redhat")."""
    facts = {
        "schema": 1,
        "hostname": name,
        "machine_id": hashlib.sha256(name.encode()).hexdigest()[:32],
        "architecture": {"name": "amd64", "raw": "x86_64", "bits": 64},
        "cpus": {"count": cpus, "host_count": cpus, "limit": None},
        "memory": {"total_bytes": memory, "limit_bytes": None, "usable_bytes": memory, "available_bytes": memory},
        "swap": {"total_bytes": 0, "devices": [], "fstab": []},
        "disks": {"/var/lib/containerd": {"mount": "/", "free_bytes": 50 * GIB, "kind": "ssd", "read_only": False}},
        "cgroup": {"version": "v2", "controllers": ["cpuset", "cpu", "io", "memory", "hugetlb", "pids"]},
        "kernel": {
            "release": "6.1.0",
            "version": [6, 1, 0],
            "modules": {"overlay": "available", "br_netfilter": "available"},
            "sysctls": {},
        },
        "init": "systemd",
        "os": {"id": "debian", "family": "debian", "version_id": "12"},
        "virtualization": {"container": None, "vm": "kvm"},
        "clock": {"epoch": 1000.0, "offset_seconds": 0.1, "synchronised": True, "source": "chrony"},
        "network": {
            "interfaces": [
                {
                    "name": "eth0",
                    "mtu": 1500,
                    "up": True,
                    "addresses": [{"address": address, "prefix": 24, "family": 4, "scope": "global"}],
                }
            ],
            "routes": [
                {"dst": "default", "via": "10.0.0.1", "dev": "eth0", "family": 4},
                {"dst": "10.0.0.0/24", "dev": "eth0", "family": 4},
            ],
            "default_ipv4": {"address": address, "interface": "eth0", "gateway": "10.0.0.1"},
            "default_ipv6": None,
            "probe_source": address,
        },
        "dns": {"resolv_conf": "/etc/resolv.conf", "loopback": False},
        "ports": [],
        "commands": {
            name: "/usr/sbin/" + name for name in ("conntrack", "iptables", "nft", "ip", "mount", "modprobe", "haproxy")
        },
        "services": {},
        "files": {},
        "owned": None,
        "artifacts": {},
        "cluster": {"kind": None, "kubelet_conf": False, "manifests": [], "etcd_data": False, "live": None},
        "warnings": [],
    }
    for path, value in changes.items():
        here = facts
        *parents, last = path.split("__")
        for parent in parents:
            here = here[parent]
        here[last] = value
    return copy.deepcopy(facts)


def inventory(control_planes=3, workers=1, inputs=None, **changes):
    """(hosts, groups) of a cluster of like machines, to give to the planner."""
    names = ["cp-%d" % number for number in range(1, control_planes + 1)] + [
        "w-%d" % number for number in range(1, workers + 1)
    ]
    hosts = {}
    for number, name in enumerate(names):
        facts = machine(
            name,
            "10.%d.%d.%d" % (number // 62500, number // 250 % 250, number % 250 + 2)
            if len(names) > 200
            else "10.0.0.%d" % (number + 11),
            **changes,
        )
        if len(names) > 200:
            facts["network"]["interfaces"][0]["addresses"][0]["prefix"] = 8
            facts["network"]["routes"] = facts["network"]["routes"][:1]
        hosts[name] = {"info": facts, "inputs": dict(inputs or {})}
    return hosts, {"kube_control_plane": names[:control_planes], "kube_node": names[control_planes:]}


def applied(facts, node, plan, joined=True):
    """The facts of a machine after its part of the plan was carried out."""
    facts = copy.deepcopy(facts)
    for module in node["settings"]["modules"]:
        facts["kernel"]["modules"][module] = "loaded"
    facts["kernel"]["sysctls"].update(node["settings"]["sysctls"])
    written = [entry for part in node["files"].values() for entry in part if entry.get("state") != "absent"]
    texts = {
        paths.MODULES_FILE: os_settings.modules_text(node["settings"]["modules"]),
        paths.SYSCTL_FILE: os_settings.sysctl_text(node["settings"]["sysctls"]),
    }
    if node["settings"]["journald"] == "volatile":
        texts[paths.JOURNAL_FILE] = os_settings.journal_text()
    written += [{"path": path, "content": text, "mode": "0644"} for path, text in texts.items()]
    if node.get("settles"):
        written = [
            {**entry, "content": entry["content"].replace("cluster-init: true", "server: " + node["settles"])}
            if "content" in entry
            else entry
            for entry in written
        ]
    for entry in written:
        facts["files"][entry["path"]] = {
            "sha256": entry.get("sha256") or hashlib.sha256(entry["content"].encode()).hexdigest(),
            "mode": entry["mode"],
            "mtime": 100.0,
            "owned": True,
        }
    facts["owned"] = {
        "files": {entry["path"]: {"backup": None} for entry in written},
        "settings": {"journald": "volatile"} if paths.JOURNAL_FILE in texts else {},
    }
    for item in node["programs"]:
        path = item.get("dest") or item["unpack"]["dest_dir"] + "/" + item["component"]
        facts["artifacts"][path] = {"version": item["version"], "sha256": "0", "source": item["url"], "intact": True}
    facts["commands"].update({name: "/usr/sbin/" + name for name in node["packages"]})
    timer = [paths.BACKUP_TIMER] if node["files"].get("backup") else []
    for name in ("containerd", "kubelet", "kube-endpoint", "kube-endpoint-vip", "kube-bridge", *timer):
        facts["services"][name] = {
            "exists": True,
            "active": "active",
            "enabled": "enabled",
            "started_epoch": 200.0,
            "newest_process_epoch": 200.0,
        }
    if joined and plan["distribution"] == "k3s":
        server = node["role"] == "control_plane"
        facts["cluster"] = {
            "kind": "k3s", "foreign": False, "ca_sha256": "ca", "role": node["role"], "kubelet_conf": True,
            "manifests": [], "etcd_data": server, "cluster_init": node["action"] == "init" and not node["settles"],
            "live": live_k3s(plan) if server else None, "cni_conf": [],
        }  # fmt: skip
        if server:
            facts["cluster"]["datastore"] = {"SQLite": "sqlite", "embedded etcd": "etcd"}.get(
                plan["datastore"], "external https" if "etcd" in plan["datastore"] else "external postgres"
            )
        name = "k3s" if server else "k3s-agent"
        facts["services"][name] = facts["services"]["containerd"]
    elif joined:
        control_plane = node["role"] == "control_plane"
        manifests = ["etcd.yaml", "kube-apiserver.yaml"] if control_plane else []
        facts["cluster"] = {
            "kind": "kubeadm", "foreign": False, "ca_sha256": "ca", "role": node["role"], "kubelet_conf": True,
            "manifests": manifests, "etcd_data": control_plane, "live": live(plan) if control_plane else None,
            "cni_conf": list(network.by_name(plan["plugin"]).traces.cni_files[:1]),
        }  # fmt: skip
    return facts


def node_row(node, plan, label):
    """A Node as the API has it after the plan. label: that of a control plane."""
    wanted = plan["objects"][node["name"]]
    taints = wanted["taints"] or []
    record = {"labels": sorted(wanted["labels"]), "taints": [[taint["key"], taint["effect"]] for taint in taints]}
    return {
        "name": node["name"],
        "labels": {**(label if node["role"] == "control_plane" else {}), **wanted["labels"]},
        "annotations": {ANNOTATION: json.dumps(record)} if any(record.values()) else {},
        "taints": taints,
        "ready": True,
        "kubelet_version": "v" + plan["version"],
        "addresses": {"InternalIP": [address["address"] for address in node["addresses"]]},
    }


def applied_objects_of(plan):
    """What a control plane says of manifests, AddOns and CoreDNS when the plan's were applied."""
    key, rows = "ab" * 32, [row for row in plan["manifests"] if (row.get("state") or "present") == "present"]
    digests = {row["name"]: row.get("sha256") or hashlib.sha256(row["content"].encode()).hexdigest() for row in rows}
    record = {
        row["name"]: [identity(item) for item in yaml.safe_load_all(row.get("content") or "") if item] for row in rows
    }
    return {
        "applied": {
            "record": record,
            "key": key,
            "digests": {name: digest(key, sha256) for name, sha256 in digests.items()},
            "objects": {known: "same" for identities in record.values() for known in identities},
        },
        "applied_error": None,
        "dns_places": ["cp-1", "w-1"],
        "addons": dict((plan["addons"] or {}).get("wanted") or {}),
    }


def live_k3s(plan):
    """What a K3s server says when all of the plan's nodes are members."""
    label = {"node-role.kubernetes.io/control-plane": "true"}
    nodes = [node_row(node, plan, label) for node in plan["nodes"].values()]
    known = applied_objects_of(plan)
    if plan["datastore"] == "embedded etcd":
        known["etcd_members"] = members(plan)
    return {"kind": "k3s", "healthy": True, "version": "v%s+k3s1" % plan["version"], "nodes": nodes, **known}


def members(plan):
    """The members of etcd, one on each control plane."""
    planes = [node for node in plan["nodes"].values() if node["role"] == "control_plane"]
    return [{"name": node["name"], "learner": False} for node in planes]


def live(plan):
    """What a control plane's API says when all of the plan's nodes are members."""
    label = {"node-role.kubernetes.io/control-plane": ""}
    return {
        "healthy": True,
        "version": "v" + plan["version"],
        "nodes": [node_row(node, plan, label) for node in plan["nodes"].values()],
        "kubeadm_config": {"ClusterConfiguration": plan["nodes"][plan["leader"]]["kubeadm"]["init"].split("---\n")[2]},
        "etcd_members": members(plan),
        "config_maps": ["kubeadm-config", "kubelet-config"],
        **applied_objects_of(plan),
        "daemonsets": ["kube-proxy"],
        "deployments": ["coredns"],
        "proxy_mode": plan["proxy_mode"],
    }


def lost(hosts, host):
    """The Node of a host is not Ready any more, as all control planes say; the host is a bare machine."""
    name, address = hosts[host]["info"]["hostname"], hosts[host]["info"]["network"]["probe_source"]
    for row in hosts.values():
        live = row["info"]["cluster"].get("live") or {}
        for node in live.get("nodes") or []:
            node["ready"] = node["ready"] and node["name"] != name
    hosts[host]["info"] = machine(name, address)


def texts(found):
    """Return the sentences of a plan's refusals or warnings, or of a list of findings."""
    return [item["text"] if isinstance(item, dict) else str(item) for item in found]
