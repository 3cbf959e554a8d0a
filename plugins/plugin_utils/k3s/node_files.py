# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The files of a K3s node: configuration, kubelet, registries, service, and those with secrets."""

from __future__ import annotations

from typing import Any

from ..base.distribution import Cluster, File, Inputs, Node, Nodes
from ..machine import backup_schedule
from ..network import endpoint
from . import auto_deploy, config, datastore, hardening, registries, selinux, service

DIRECTORY = "/etc/rancher/k3s/"


def files(node: Node, cluster: Cluster) -> list[File]:
    """Return K3s's files without secrets: [{path, content, mode}] or {path, state} of one that must not exist."""
    # Without labels: they are set through the API, so that a changed one does not restart K3s.
    made = config.files(node, config_of(node, cluster))
    embedded = cluster["shared"]["k3s_embedded_registry"]
    made += [entry for entry in registries.files(node["inputs"]["kube_registries"], embedded) if not entry["secret"]]
    if cluster["shared"]["k3s_hardened"] and node["role"] == "control_plane":
        made += hardening.files()
    if node["inputs"]["k3s_install_method"] != "script":
        made += service.files(node)
    return [{key: entry[key] for key in ("path", "content", "mode")} for entry in made] + _auto_deployed(node, False)


def secret_files(node: Node, cluster: Cluster) -> list[File]:
    """Return the files with secrets that the inputs call for. The tokens are created on the first server instead."""
    values = node["inputs"]
    given = registries.files(values["kube_registries"], values["k3s_embedded_registry"])
    found = [entry for entry in given if entry["secret"]]
    if node["role"] == "control_plane":
        found += datastore.files(values["k3s_datastore_tls"])
    found += [{**entry, "secret": True} for entry in _auto_deployed(node, True)]
    found += endpoint.secret_files(node, cluster) + backup_schedule.secret_files(node, cluster)
    own = config.secret_file(node, values["k3s_datastore_endpoint"])
    return found + ([own] if own else []) + service.proxy_files(node, values["kube_http_proxy"], cluster["no_proxy"])


def owned_places(node: Node) -> dict[str, list[str]]:
    """Return by part the places in which a file of ours that is not wanted is a remainder. The tokens are kept.

    Files in the auto-deploy folder have their own list (auto_deploy.py).
    """
    owned = (node["info"].get("owned") or {}).get("files") or {}
    existing = node["info"].get("files") or {}
    tokens = (config.TOKEN_FILE, config.AGENT_TOKEN_FILE)
    places = [path for path in owned if path.startswith(DIRECTORY) and path not in tokens]
    environment = service.environment_path(node)
    # Upstream's script leaves an empty one.
    if (existing.get(environment) or {}).get("size") != 0:
        places.append(environment)
    return {
        "endpoint": [endpoint.DIRECTORY + "/", *("/etc/systemd/system/%s.service" % name for name in endpoint.UNITS)],
        "k3s": places,
        "repository": [selinux.REPOSITORY],
        "backup": backup_schedule.owned_places(),
    }


def config_of(node: Node, cluster: Cluster) -> dict[str, Any]:
    """Return the cluster as config.py takes it.

    A server that started the cluster keeps cluster-init, which K3s ignores once it has data, until others have joined:
    after that it would start a second cluster if it lost its data. A server that lost its data joins the others.
    """
    found = node["info"].get("cluster") or {}
    is_only_one = not set(cluster["running_members"]) - {node["name"]}
    began = bool(found.get("etcd_data")) and bool(found.get("cluster_init")) and is_only_one
    leads = node["host"] == cluster["leader"] and (cluster["converts"] or not cluster["exists"])
    names = "version datastore members endpoint pod_cidrs service_cidrs domain sans api_port plugin proxy_mode disable"
    return {
        **{name: cluster[name] for name in names.split()},
        "init": leads or began,
        "leader": node["name"],
        "living": cluster["leader_address"],
        "plugin_options": cluster["shared"]["kube_network"]["options"],
        "agent_token": True,
        "secrets_encryption": cluster["secrets_encryption"],
        "hardened": cluster["shared"]["k3s_hardened"],
        "embedded_registry": cluster["shared"]["k3s_embedded_registry"],
        "datastore_files": datastore.key_files(cluster["shared"]["k3s_datastore_tls"]),
    }


def settles(node: Node, cluster: Cluster) -> str:
    """Return the server that takes the place of cluster-init once others have joined; empty where nothing changes."""
    described = config_of(node, cluster)
    if "cluster-init" not in config.config(node, described) or len(described["members"]) < 2:
        return ""
    return str(config.config(node, {**described, "init": False, "living": None})["server"])


def _auto_deployed(node: Node, secret: bool) -> list[File]:
    """Return a server's files in the auto-deploy folder. All servers get the same."""
    if node["role"] != "control_plane":
        return []
    return auto_deploy.files(node["inputs"], config.data_dir(node["inputs"]), node.get("info") or {}, secret)


def kept_deployed(shared: Inputs, nodes: Nodes) -> list[str]:
    """Return the names of files in the servers' auto-deploy folders that stay though no file is listed."""
    infos = [node.get("info") or {} for node in nodes.values() if node["role"] == "control_plane"]
    return auto_deploy.kept(shared, infos, config.data_dir(shared))
