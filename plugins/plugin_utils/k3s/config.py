# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""K3s's configuration of one node, as a pure function of the plan.

Files and keys: https://docs.k3s.io/installation/configuration, https://docs.k3s.io/cli/server, https://docs.k3s.io/cli/agent
What is wrong with a map of such keys is in k3s_check. Secrets are not in config.yaml: tokens are in files that it names, the rest is in
secret_file().
"""

from __future__ import annotations

from ipaddress import ip_network

from ..base import versions
from ..base.findings import Finding
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

ROLES = {"control_plane": SERVER, "worker": AGENT, SERVER: SERVER, AGENT: AGENT}

# Labels of these namespaces a kubelet may not give itself and does not start with, but for these names and namespaces; they are set through
# the API. https://kubernetes.io/docs/reference/access-authn-authz/admission-controllers/#noderestriction
_RESERVED = ("kubernetes.io", "k8s.io")
_OPEN = ("kubelet.kubernetes.io", "node.kubernetes.io")
_OPEN_LABELS = (
    "beta.kubernetes.io/arch",
    "beta.kubernetes.io/instance-type",
    "beta.kubernetes.io/os",
    "failure-domain.beta.kubernetes.io/region",
    "failure-domain.beta.kubernetes.io/zone",
    "kubernetes.io/arch",
    "kubernetes.io/hostname",
    "kubernetes.io/os",
    "topology.kubernetes.io/region",
    "topology.kubernetes.io/zone",
)


def config(node: dict, cluster: dict) -> dict:
    """The keys of one node's config.yaml in the order in which they are written.

    node: name, role (control_plane or worker), address, addresses (of both families, where its pods have both), inputs, taints [{key, value, effect}].
    cluster: datastore ("SQLite", "embedded etcd", or "external" with its kind), init (whether no server of the inventory has data), leader (the
    name of the node that then starts the cluster), members (all servers, [{name, address}]), endpoint {address, port} (where a node that
    joins finds a living server, or a loopback address where each node has its own way), pod_cidrs, service_cidrs, domain, plugin; and what
    may be missing: living (address of a server that runs), sans, api_port, plugin_options, proxy_mode, disable (lists of K3s's parts),
    agent_token (whether agents have a token of their own), secrets_encryption, hardened, embedded_registry (whether), datastore_files
    {cafile, certfile, keyfile}.
    """
    server = ROLES[node["role"]] == SERVER
    inputs = node["inputs"]
    made = {"node-name": node["name"], "node-ip": node.get("addresses") or node["address"]}
    if joins(node, cluster):
        made["server"] = "https://" + _door(node, cluster)
    elif cluster["datastore"] == "embedded etcd" and starts(node, cluster):
        made["cluster-init"] = True
    made["token-file"] = TOKEN_FILE
    if _loopback(cluster["endpoint"]["address"]) and cluster["endpoint"]["port"] != K3S_BALANCER_PORT:
        made["lb-server-port"] = cluster["endpoint"]["port"]
    if data_dir(inputs) != DATA_DIR:
        made["data-dir"] = data_dir(inputs)
    if server:
        made.update(_shared(cluster))
    if k3s_selinux.wanted(node):
        made["selinux"] = True
    made["node-label"] = [
        "%s=%s" % pair for pair in sorted(inputs["kube_node_labels"].items(), key=str) if own_label(pair[0])
    ]
    made["node-taint"] = _taints(node)
    if cluster.get("proxy_mode", "iptables") != "iptables":
        made["kube-proxy-arg"] = ["proxy-mode=" + cluster["proxy_mode"]]
    if cluster.get("hardened"):
        made.update(k3s_hardening.keys(server, data_dir(inputs)))
    made = {key: value for key, value in made.items() if value not in ([], {})}
    return _merged(made, _plain(inputs.get("k3s_config") or {}))


def server_keys(inputs: dict, cluster: dict) -> dict:
    """Return the keys of a server that do not depend on the node, with the user's over them."""
    return _merged(_shared(cluster), _plain(inputs.get("k3s_config") or {}))


def _shared(cluster):
    """The keys that all servers have alike."""
    made = {}
    if cluster.get("agent_token"):
        made["agent-token-file"] = AGENT_TOKEN_FILE
    made["tls-san"] = list(cluster.get("sans") or [])
    if cluster.get("api_port", 6443) != 6443:
        made["https-listen-port"] = cluster["api_port"]
    made["cluster-cidr"] = list(cluster["pod_cidrs"])
    made["service-cidr"] = list(cluster["service_cidrs"])
    made["cluster-domain"] = cluster["domain"]
    if cluster["plugin"] == "flannel":
        made["flannel-backend"] = k3s_flannel.backend(cluster.get("plugin_options"))
        # Addresses that nobody routes outside need masquerading, which flannel leaves out for IPv6:
        # https://docs.k3s.io/networking/basic-network-options#dual-stack-ipv4--ipv6-networking
        if any(ip_network(cidr).version == 6 and ip_network(cidr).is_private for cidr in cluster["pod_cidrs"]):
            made["flannel-ipv6-masq"] = True
    else:
        # Other plugins have their own policies: https://docs.k3s.io/networking/basic-network-options#custom-cni
        made.update({"flannel-backend": "none", "disable-network-policy": True})
    made["disable"] = sorted(cluster.get("disable") or [])
    if cluster.get("secrets_encryption"):
        made["secrets-encryption"] = True
    if cluster.get("embedded_registry"):
        made["embedded-registry"] = True
    if cluster["datastore"].startswith("external"):
        files = cluster.get("datastore_files") or {}
        made.update({"datastore-" + name: files[name] for name in ("cafile", "certfile", "keyfile") if files.get(name)})
    return made


def starts(node: dict, cluster: dict) -> bool:
    """Whether this node is the one that starts the cluster."""
    return bool(cluster["init"]) and node["name"] == cluster["leader"]


def joins(node: dict, cluster: dict) -> bool:
    """Whether the node needs the address of a server. Servers with an external database find each other there."""
    if ROLES[node["role"]] == AGENT:
        return True
    # Without the address, a server that lost its data would start a second cluster.
    return cluster["datastore"] == "embedded etcd" and len(cluster["members"]) > 1 and not starts(node, cluster)


def _door(node, cluster):
    """Host and port of a server to join: the endpoint; without one, a server, by whose list K3s then knows the others.

    A node that has joined keeps the server that its configuration names while that is one of the cluster's, so that nothing restarts; another one
    is sent to a living one. Agents balance between all servers by themselves: https://docs.k3s.io/architecture
    """
    mine, place = node.get("addresses") or [node["address"]], cluster["endpoint"]
    if place["address"] not in mine and not _loopback(place["address"]):
        return host_port(place["address"], place["port"])
    port = cluster.get("api_port", 6443)
    others = {host_port(member["address"], port) for member in cluster["members"] if member["address"] not in mine}
    there = (node.get("info") or {}).get("cluster") or {}
    named = str(there.get("server") or "").rpartition("//")[2]
    if there.get("kubelet_conf") and named in others:
        return named
    living = host_port(cluster["living"], port) if cluster.get("living") else ""
    return living if living in others else min(others)


def _loopback(address):
    return address == "localhost" or address.startswith("127.")


def data_dir(inputs: dict) -> str:
    """Where K3s keeps its state on a node with these inputs."""
    base = inputs.get("kube_data_dir", "").rstrip("/")
    return base + "/rancher/k3s" if base else DATA_DIR


def own_label(key: str) -> bool:
    """Whether a kubelet may give its node a label of this name."""
    namespace = str(key).rpartition("/")[0]
    if not _within(namespace, _RESERVED):
        return True
    return _within(namespace, _OPEN) or key in _OPEN_LABELS


def _within(namespace, parents):
    return any(namespace == parent or namespace.endswith("." + parent) for parent in parents)


def _taints(node):
    """What a node registers with. Later ones are kept through the API and K3s does not read them: a changed one must not restart it.

    https://docs.k3s.io/cli/agent#node-labels-and-taints-for-agents
    """
    there = (node.get("info") or {}).get("cluster") or {}
    if there.get("kubelet_conf") and there.get("node_taints") is not None:
        return there["node_taints"]
    return [_taint(taint) for taint in node.get("taints") or []]


def _taint(taint):
    value = "=" + taint["value"] if taint.get("value") else ""
    return "%s%s:%s" % (taint["key"], value, taint["effect"])


def _plain(given):
    return {key: value for key, value in given.items() if key.rstrip("+") not in SECRET}


def _merged(made, given):
    """A user's map over the computed one; a list under "key+" is appended, as K3s does it between its files.

    Arguments of components are always appended: the last one of a name counts, and none of the plan's is lost.
    """
    added = {key for key in given if key.endswith("+") or key.endswith("-arg") and key in made}
    result = merge(made, {key: given[key] for key in sorted(given) if key not in added})
    for key in sorted(given):
        if key in added:
            name = key.rstrip("+")
            result[name] = _list(result.get(name, [])) + _list(given[key])
    return result


def _list(value):
    return list(value) if isinstance(value, (list, tuple)) else [value]


def text(made: dict) -> str:
    """The YAML text of a map of keys, in its order."""
    return dump(made) if made else ""


def files(node: dict, cluster: dict) -> list:
    """The files of one node that hold no secret: [{path, content, mode}]. cluster has its version too."""
    return [
        {"path": PATH, "content": HEADER + text(config(node, cluster)), "mode": "0600"},
        kubelet_file(node, cluster["version"]),
    ]


def kubelet_file(node: dict, version: str) -> dict:
    """The kubelet's settings as a drop-in {path, content, mode}, which K3s reads from 1.32 on; the supported versions all do.

    https://docs.k3s.io/installation/configuration#kubelet-configuration-files
    """
    made = kubelet_config.kubelet_config(node["info"], node["inputs"], versions.parse(version))
    kept = {key: value for key, value in made.items() if key not in _KUBELET_BY_K3S}
    return {"path": KUBELET_DROPIN % data_dir(node["inputs"]), "content": dump(kept), "mode": "0644"}


def secret_file(node: dict, datastore_endpoint: str = "") -> dict:
    """The drop-in {path, content, mode, secret} with the user's secret keys and a server's database; empty where there are none.

    datastore_endpoint: the address of the external database, with its password.
    """
    given = node["inputs"].get("k3s_config") or {}
    made = {key: given[key] for key in sorted(given) if key.rstrip("+") in SECRET}
    if datastore_endpoint and ROLES[node["role"]] == SERVER:
        made["datastore-endpoint"] = datastore_endpoint
    if not made:
        return {}
    return {"path": SECRET_PATH, "content": SECRET_HEADER + text(made), "mode": "0600", "secret": True}


def critical(made: dict) -> dict:
    """The part of a server's keys that all servers must share. What is switched off is as good as not set: that is the default of each."""
    shared = {key: made[key] for key in CRITICAL if key in made and str(made[key]).lower() != "false"}
    off = [item for item in CRITICAL_DISABLE if item in _list(made.get("disable", []))]
    return {**shared, "disable": off} if off else shared


def disagreements(servers: dict) -> list:
    """Refuse keys in which servers differ and that K3s requires to be the same. servers: their server_keys() or config() by host."""
    parts = {host: critical(made) for host, made in servers.items()}
    found = []
    for key in sorted({key for part in parts.values() for key in part}):
        values = {}
        for host in sorted(parts):
            values.setdefault(_shown(key, parts[host]), []).append(host)
        if len(values) > 1:
            rows = "; ".join("%s on %s" % (value, ", ".join(hosts)) for value, hosts in values.items())
            text = "k3s_config.%s must be the same on all servers, or K3s lets no further one join: it is %s. Set it for their whole group"
            found.append(Finding("k3s_config.differs_between_servers", text % (key, rows), value=key))
    return found


def _shown(key, part):
    return repr(part[key]) if key in part else "not set"
