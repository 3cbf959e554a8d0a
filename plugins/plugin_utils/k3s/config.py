# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""K3s's configuration of one node, as a pure function of the plan.

Files and keys: https://docs.k3s.io/installation/configuration, https://docs.k3s.io/cli/server,
https://docs.k3s.io/cli/agent. config_checks.py checks a user's map of such keys. Secrets are not in config.yaml:
tokens are in files that it names, the rest is in secret_file().
"""

from __future__ import annotations

from collections.abc import Mapping
from ipaddress import ip_network
from typing import Any

from ..base import versions, words
from ..base.distribution import Cluster, File, Inputs, Node
from ..base.findings import Finding
from ..base.model import Datastore
from ..base.reference import K3S_BALANCER_PORT
from ..base.yaml_documents import dump, merge
from ..machine import kubelet as kubelet_config
from ..network import flannel as k3s_flannel
from ..network.addresses import host_port
from . import hardening as k3s_hardening, selinux as k3s_selinux
from .config_keys import AGENT, CRITICAL, CRITICAL_DISABLE, SECRET, SERVER

HEADER = "# Made by kubewright.cluster. Drop-ins belong in /etc/rancher/k3s/config.yaml.d.\n"
SECRET_HEADER = "# Made by kubewright.cluster.\n"
PATH = "/etc/rancher/k3s/config.yaml"
SECRET_PATH = "/etc/rancher/k3s/config.yaml.d/50-kubewright-secrets.yaml"
# On an agent TOKEN_FILE holds the agents' token, which starts no server.
TOKEN_FILE = "/etc/rancher/k3s/token"
AGENT_TOKEN_FILE = "/etc/rancher/k3s/agent-token"
DATA_DIR = "/var/lib/rancher/k3s"
# After K3s's own 00-k3s-defaults.conf and after what --kubelet-arg=config brings (10-, 20-).
KUBELET_DROPIN = "%s/agent/etc/kubelet.conf.d/50-kubewright.conf"
# K3s gives its containerd and its kubelet one cgroup driver, and the kubelet --cluster-domain.
_KUBELET_BY_K3S = ("cgroupDriver", "clusterDomain")

# Keys of config.yaml with their values.
Keys = dict[str, Any]
# Role of a node in the plan or in K3s -> role in K3s.
ROLES = {"control_plane": SERVER, "worker": AGENT, SERVER: SERVER, AGENT: AGENT}


def config(node: Node, cluster: Cluster) -> Keys:
    """Return the keys of one node's config.yaml in the order in which they are written.

    node: name, role (control_plane or worker), address, inputs, taints [{key, value, effect}]; addresses if its pods
    have both address families.
    cluster: datastore ("SQLite", "embedded etcd", or "external" with its kind), init (True if no server of the
    inventory has data), leader (name of the node that then starts the cluster), members (all servers,
    [{name, address}]), endpoint {address, port} (at which a joining node finds a running server, or a loopback address
    if each node has a load balancer of its own), pod_cidrs, service_cidrs, domain, plugin.
    Optional: living (address of a running server), sans, api_port, plugin_options, proxy_mode, disable (packaged
    components), agent_token (True if agents have a token of their own), secrets_encryption, hardened,
    embedded_registry (bool), datastore_files {cafile, certfile, keyfile}.
    """
    server = ROLES[node["role"]] == SERVER
    inputs = node["inputs"]
    made: Keys = {"node-name": node["name"], "node-ip": _node_ip(node)}
    if joins(node, cluster):
        made["server"] = "https://" + _server_to_join(node, cluster)
    elif Datastore.parse(cluster["datastore"]).is_embedded_etcd and starts(node, cluster):
        made["cluster-init"] = True
    made["token-file"] = TOKEN_FILE
    if _loopback(cluster["endpoint"]["address"]) and cluster["endpoint"]["port"] != K3S_BALANCER_PORT:
        made["lb-server-port"] = cluster["endpoint"]["port"]
    if data_dir(inputs) != DATA_DIR:
        made["data-dir"] = data_dir(inputs)
    if server:
        made.update(_shared(cluster))
    facts = (node.get("info") or {}).get("network") or {}
    if cluster["plugin"] == k3s_flannel.Flannel.name and k3s_flannel.interface(node.get("addresses") or [], facts):
        made["flannel-iface"] = k3s_flannel.interface(node["addresses"], facts)
    if k3s_selinux.wanted(node):
        made["selinux"] = True
    made["node-taint"] = _taints(node)
    if cluster.get("proxy_mode", "iptables") != "iptables":
        made["kube-proxy-arg"] = ["proxy-mode=" + cluster["proxy_mode"]]
    if cluster.get("hardened"):
        made.update(k3s_hardening.keys(server, data_dir(inputs)))
    made = {key: value for key, value in made.items() if value not in ([], {})}
    return _merged(made, _plain(inputs.get("k3s_config") or {}))


def _node_ip(node: Node) -> str | list[str]:
    """Return the node's address, or both if it has one of each family."""
    own = [address.address for address in node.get("addresses") or []]
    return own if len(own) > 1 else node["address"]


def server_keys(inputs: Inputs, cluster: Cluster) -> Keys:
    """Return the keys of a server that do not depend on the node, with the user's over them."""
    return _merged(_shared(cluster), _plain(inputs.get("k3s_config") or {}))


def _shared(cluster: Cluster) -> Keys:
    """Return the keys that are the same on all servers."""
    made: Keys = {}
    if cluster.get("agent_token"):
        made["agent-token-file"] = AGENT_TOKEN_FILE
    made["tls-san"] = list(cluster.get("sans") or [])
    if cluster.get("api_port", 6443) != 6443:
        made["https-listen-port"] = cluster["api_port"]
    made["cluster-cidr"] = list(cluster["pod_cidrs"])
    made["service-cidr"] = list(cluster["service_cidrs"])
    made["cluster-domain"] = cluster["domain"]
    if cluster["plugin"] == "flannel":
        made["flannel-backend"] = k3s_flannel.backend(cluster.get("plugin_options") or {})
        # Private addresses need masquerading, which flannel does not do for IPv6 by default:
        # https://docs.k3s.io/networking/basic-network-options#dual-stack-ipv4--ipv6-networking
        if any(ip_network(cidr).version == 6 and ip_network(cidr).is_private for cidr in cluster["pod_cidrs"]):
            made["flannel-ipv6-masq"] = True
    else:
        # Other plugins enforce network policies themselves:
        # https://docs.k3s.io/networking/basic-network-options#custom-cni
        made.update({"flannel-backend": "none", "disable-network-policy": True})
    made["disable"] = sorted(cluster.get("disable") or [])
    if cluster.get("secrets_encryption"):
        made["secrets-encryption"] = True
    if cluster.get("embedded_registry"):
        made["embedded-registry"] = True
    if Datastore.parse(cluster["datastore"]).is_external:
        files = cluster.get("datastore_files") or {}
        made.update({"datastore-" + name: files[name] for name in ("cafile", "certfile", "keyfile") if files.get(name)})
    return made


def starts(node: Node, cluster: Cluster) -> bool:
    """Return True if this node starts the cluster."""
    return bool(cluster["init"]) and node["name"] == cluster["leader"]


def joins(node: Node, cluster: Cluster) -> bool:
    """Return True if the node needs the address of a server. With an external database, servers do not."""
    if ROLES[node["role"]] == AGENT:
        return True
    # Without the address, a server that lost its data would start a second cluster.
    return (
        Datastore.parse(cluster["datastore"]).is_embedded_etcd
        and len(cluster["members"]) > 1
        and not starts(node, cluster)
    )


def _server_to_join(node: Node, cluster: Cluster) -> str:
    """Return host:port of a server to join: the endpoint, or else one server, from which K3s learns the others.

    A joined node keeps the server in its configuration as long as that is a server of the cluster, so that nothing
    restarts. Otherwise it gets a running server. Agents balance between all servers on their own:
    https://docs.k3s.io/architecture
    """
    own = _node_ip(node)
    mine, endpoint = own if isinstance(own, list) else [own], cluster["endpoint"]
    if endpoint["address"] not in mine and not _loopback(endpoint["address"]):
        return host_port(endpoint["address"], endpoint["port"])
    port = cluster.get("api_port", 6443)
    others = {host_port(member["address"], port) for member in cluster["members"] if member["address"] not in mine}
    found = (node.get("info") or {}).get("cluster") or {}
    configured = str(found.get("server") or "").rpartition("//")[2]
    # A server without data joins one that serves: its former one may have lost its own.
    has_joined = found.get("kubelet_conf") and (ROLES[node["role"]] == AGENT or found.get("datastore"))
    if has_joined and configured in others:
        return configured
    living = host_port(cluster["living"], port) if cluster.get("living") else ""
    return living if living in others else min(others)


def _loopback(address: str) -> bool:
    return address == "localhost" or address.startswith("127.")


def data_dir(inputs: Inputs) -> str:
    """Return K3s's data directory on a node with these inputs."""
    base = str(inputs.get("kube_data_dir", "")).rstrip("/")
    return base + "/rancher/k3s" if base else DATA_DIR


def _taints(node: Node) -> list[str]:
    """Return the taints that a node registers with: on a running node those that it registered with.

    Later changes go through the API. K3s does not read them from its file, so they must not restart it.
    https://docs.k3s.io/cli/agent#node-labels-and-taints-for-agents
    """
    found = (node.get("info") or {}).get("cluster") or {}
    if found.get("kubelet_conf") and found.get("node_taints") is not None:
        return list(found["node_taints"])
    return [_taint(taint) for taint in node.get("taints") or []]


def _taint(taint: Mapping[str, str]) -> str:
    value = "=" + taint["value"] if taint.get("value") else ""
    return "%s%s:%s" % (taint["key"], value, taint["effect"])


def _plain(given: Mapping[str, Any]) -> Keys:
    """Return the keys of a user's map that are not secret."""
    return {key: value for key, value in given.items() if key.rstrip("+") not in SECRET}


def _merged(made: Keys, given: Mapping[str, Any]) -> Keys:
    """Return the computed keys with the user's over them.

    A list under "key+" is appended, as K3s does between its files. Arguments of components are always appended: the
    last one of a name takes effect, and none of the plan's is lost.
    """
    added = {key for key in given if key.endswith("+") or key.endswith("-arg") and key in made}
    result = merge(made, {key: given[key] for key in sorted(given) if key not in added})
    for key in sorted(given):
        if key in added:
            name = key.rstrip("+")
            result[name] = _list(result.get(name, [])) + _list(given[key])
    return result


def _list(value: Any) -> list[Any]:
    return list(value) if isinstance(value, (list, tuple)) else [value]


def text(made: Mapping[str, Any]) -> str:
    """Return the YAML text of a map of keys, in its order."""
    return str(dump(dict(made))) if made else ""


def files(node: Node, cluster: Cluster) -> list[File]:
    """Return the files of one node without secrets: [{path, content, mode}]. cluster: as in config(), and version."""
    return [
        {"path": PATH, "content": HEADER + text(config(node, cluster)), "mode": "0600"},
        kubelet_file(node, cluster["version"]),
    ]


def kubelet_file(node: Node, version: str) -> File:
    """Return the kubelet's settings as a drop-in {path, content, mode}, which K3s reads since 1.32.

    https://docs.k3s.io/installation/configuration#kubelet-configuration-files
    """
    made = kubelet_config.config(node["info"], node["inputs"], versions.parse(version))
    kept = {key: value for key, value in made.items() if key not in _KUBELET_BY_K3S}
    return {"path": KUBELET_DROPIN % data_dir(node["inputs"]), "content": dump(kept), "mode": "0644"}


def secret_file(node: Node, datastore_endpoint: str = "") -> File:
    """Return the drop-in {path, content, mode, secret} with the user's secret keys and a server's database, or {}.

    datastore_endpoint: the address of the external database, with its password.
    """
    given = node["inputs"].get("k3s_config") or {}
    made = {key: given[key] for key in sorted(given) if key.rstrip("+") in SECRET}
    if datastore_endpoint and ROLES[node["role"]] == SERVER:
        made["datastore-endpoint"] = datastore_endpoint
    if not made:
        return {}
    return {"path": SECRET_PATH, "content": SECRET_HEADER + text(made), "mode": "0600", "secret": True}


def critical(made: Keys) -> Keys:
    """Return those of a server's keys that must be the same on all servers.

    A switch that is off counts as not set, because off is the default of each.
    """
    shared = {key: made[key] for key in CRITICAL if key in made and str(made[key]).lower() != "false"}
    off = [item for item in CRITICAL_DISABLE if item in _list(made.get("disable", []))]
    return {**shared, "disable": off} if off else shared


def disagreements(servers: Mapping[str, Keys]) -> list[Finding]:
    """Refuse keys that differ between servers and that K3s requires to be the same.

    servers: by host their server_keys() or config().
    """
    parts = {host: critical(made) for host, made in servers.items()}
    found = []
    for key in sorted({key for part in parts.values() for key in part}):
        values: dict[str, list[str]] = {}
        for host in sorted(parts):
            values.setdefault(_shown(key, parts[host]), []).append(host)
        if len(values) > 1:
            rows = "; ".join("%s on %s" % (value, words.names(hosts)) for value, hosts in values.items())
            text = (
                "k3s_config.%s: K3s needs the same value on all servers, got %s. "
                "Set it for the group of all control planes, otherwise further servers cannot join."
            )
            found.append(Finding("k3s_config.differs_between_servers", text % (key, rows), value=key))
    return found


def _shown(key: str, part: Keys) -> str:
    return repr(part[key]) if key in part else "not set"
