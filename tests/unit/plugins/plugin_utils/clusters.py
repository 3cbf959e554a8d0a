# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Running clusters: the facts of machines after their plan was carried out, with the files that hold secrets."""

from __future__ import annotations

import hashlib

import yaml
from ansible_collections.kubewright.cluster.plugins.plugin_utils.inputs import schema
from ansible_collections.kubewright.cluster.plugins.plugin_utils.network import flannel
from ansible_collections.kubewright.cluster.plugins.plugin_utils.plan import planner, slices
from ansible_collections.kubewright.cluster.tests.unit.plugins.plugin_utils.machines import applied, inventory


def running(inputs=None, control_planes=3, workers=1):
    """(hosts, groups) of a cluster that is as its inventory asks for."""
    hosts, groups = inventory(control_planes, workers, inputs)
    plan = planner.cluster_plan(hosts, groups)
    assert plan["refusals"] == []
    for host, node in plan["nodes"].items():
        values = schema.validate(hosts[host]["inputs"])[0]
        info = applied(hosts[host]["info"], node, plan)
        for entry in slices.secrets(plan, host, values)["files"]:
            add_file(info, entry["path"], entry["content"], entry["mode"])
        _cluster_facts(info["cluster"], node, plan, values)
        hosts[host] = {**hosts[host], "info": info}
    return hosts, groups


def add_file(info, path, content="", mode="0644"):
    """Put a file of ours into a machine's facts."""
    digest = hashlib.sha256(content.encode()).hexdigest()
    info["files"][path] = {
        "sha256": digest,
        "mode": mode,
        "size": len(content),
        "mtime": 100.0,
        "owned": True,
    }
    info["owned"]["files"][path] = {"backup": None}


def with_inputs(hosts, **inputs):
    """The same hosts with other inputs; those of value None are dropped."""
    result = {}
    for host, row in hosts.items():
        values = {**row["inputs"], **inputs}
        result[host] = {**row, "inputs": {name: value for name, value in values.items() if value is not None}}
    return result


def _cluster_facts(cluster, node, plan, values):
    """Add what node_info reads from a member's own configuration."""
    if plan["distribution"] == "kubeadm":
        if cluster["live"]:
            cluster["live"]["api_port"] = plan["api_port"]
        cluster["data_dir"] = (values["kube_data_dir"] or "/var/lib") + "/containerd"
        own = values["kubeadm_join_config"].get("nodeRegistration", {}).get("kubeletExtraArgs", [])
        cluster["kubelet_args"] = {"node-ip": node["address"], **{item["name"]: item["value"] for item in own}}
        return
    own = {entry["path"]: entry for entry in node["files"]["k3s"]}
    made = yaml.safe_load(own["/etc/rancher/k3s/config.yaml"]["content"])
    cluster.update(server=node["settles"] or made.get("server"), data_dir=made.get("data-dir", "/var/lib/rancher/k3s"))
    cluster["node_taints"] = made.get("node-taint") or []
    if node["role"] == "control_plane":
        backend = flannel.BACKENDS[flannel.backend(values["kube_network"]["options"])]["annotation"]
        for row in cluster["live"]["nodes"] if plan["plugin"] == flannel.Flannel.name else []:
            row["annotations"] = {**row["annotations"], flannel.ANNOTATION: backend}
        names = ("cluster-cidr", "service-cidr", "cluster-domain")
        cluster["settings"] = {name: made[name] if isinstance(made[name], list) else [made[name]] for name in names}
        modes = [text.partition("=")[2] for text in made.get("kube-proxy-arg") or [] if "proxy-mode" in text]
        cluster["proxy_mode"] = modes[0] if modes else "iptables"
        scheme, _slashes, rest = values["k3s_datastore_endpoint"].partition("://")
        cluster["database"] = "%s://%s" % (scheme, rest.rpartition("@")[2]) if rest else None
        cluster["port"] = made.get("https-listen-port", 6443)
        cluster["cluster_init"] = bool(made.get("cluster-init")) and not node["settles"]
        cluster["secrets_encryption"] = bool(made.get("secrets-encryption"))
