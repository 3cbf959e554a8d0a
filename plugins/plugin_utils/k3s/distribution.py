# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a K3s node should be: program, files, service; and what is to be let through between the nodes.

https://docs.k3s.io/installation/requirements, https://docs.k3s.io/installation/private-registry
"""

from __future__ import annotations

import re
import shlex

from ..base.reference import K3S_REVISION
from ..base.yaml_documents import dump
from ..machine import containerd as containerd_config, os_settings, service_units as units
from ..network import endpoint, flannel as k3s_flannel
from . import (
    artifacts as k3s_install,
    auto_deploy as k3s_addons,
    config as k3s_config,
    datastore as k3s_datastore,
    hardening as k3s_hardening,
    packaged_components as k3s_parts,
    selinux as k3s_selinux,
)

REGISTRIES = "/etc/rancher/k3s/registries.yaml"
ADMIN = "/etc/rancher/k3s/k3s.yaml"


def release(version: str, revision: str) -> str:
    """K3s's release of a Kubernetes version: v1.36.3+k3s1 of 1.36.3. revision: the wanted or running one, may be empty."""
    return "v%s+%s" % (version, revision or K3S_REVISION)


def unit(role: str) -> str:
    """Name of the service, as upstream's script has it."""
    return "k3s" if role == "control_plane" else "k3s-agent"


def unit_path(node: dict) -> str:
    """Where the service is described. node: role, info."""
    place = "/etc/init.d/%s" if node["info"]["init"] == "openrc" else "/etc/systemd/system/%s.service"
    return place % unit(node["role"])


def environment_path(node: dict) -> str:
    """Where the service's variables are, as upstream's script has it."""
    return "/etc/rancher/k3s/%s.env" % unit(node["role"]) if node["info"]["init"] == "openrc" else unit_path(node) + ".env"


def service_files(node: dict) -> list:
    """The service of our own: [{path, content, mode}]."""
    role, binary = node["role"], node["inputs"]["k3s_binary"]
    if node["info"]["init"] == "openrc":
        rotation = {"path": "/etc/logrotate.d/" + unit(role), "content": units.k3s_logrotate(unit(role)), "mode": "0644"}
        return [{"path": unit_path(node), "content": units.k3s_openrc(role, binary), "mode": "0755"}, rotation]
    in_container = bool((node["info"].get("virtualization") or {}).get("container"))
    return [{"path": unit_path(node), "content": units.k3s(role, in_container, binary), "mode": "0644"}]


def wanted(node: dict, cluster: dict) -> dict:
    """The desired state {settings, packages, programs, environment, script, files} of one node."""
    info, values = node["info"], node["inputs"]
    return {
        "settings": settings(node, cluster),
        "packages": sorted(
            os_settings.packages(info, node["role"], cluster["endpoint"], values) + k3s_selinux.packages(node)
        ),
        "programs": k3s_install.programs(node, cluster),
        "environment": environment_path(node),
        "script": k3s_install.script(node, unit_path(node), environment_path(node)),
        "files": {
            "repository": k3s_selinux.files(node),
            "endpoint": endpoint.files(node, cluster),
            "k3s": files(node, cluster),
        },
    }


def settings(node: dict, cluster: dict) -> dict:
    """Arguments of the module node_settings."""
    made = os_settings.settings(node["info"], node["inputs"], cluster["pod_networks"])
    if cluster["shared"]["k3s_hardened"]:
        made["sysctls"].update(k3s_hardening.SYSCTLS)
    return made


def encrypted(nodes: dict, shared: dict, exists: bool) -> bool:
    """Whether Secrets are encrypted: as asked for, as the servers have it already, or in a new cluster by the hardened profile."""
    return shared["k3s_secrets_encryption"] or encrypts(nodes) or shared["k3s_hardened"] and not exists


def encrypts(nodes: dict) -> bool:
    """Whether a server is set to encrypt Secrets already."""
    return any((node["info"].get("cluster") or {}).get("secrets_encryption") for node in nodes.values())


def files(node: dict, cluster: dict) -> list:
    """K3s's files without secrets: configuration, kubelet drop-in, registries, unit."""
    # Labels are kept through the API: a changed one must not restart K3s.
    made = k3s_config.files({**node, "inputs": {**node["inputs"], "kube_node_labels": {}}}, shared(node, cluster))
    embedded = cluster["shared"]["k3s_embedded_registry"]
    made += [entry for entry in registries(node["inputs"]["kube_registries"], embedded) if not entry["secret"]]
    if cluster["shared"]["k3s_hardened"] and node["role"] == "control_plane":
        made += k3s_hardening.files()
    if node["inputs"]["k3s_install_method"] != "script":
        made += service_files(node)
    return [{key: entry[key] for key in ("path", "content", "mode")} for entry in made] + _addons(node, False)


def _addons(node, secret):
    """A server's files in the auto-deploy folder. All servers are given the same."""
    if node["role"] != "control_plane":
        return []
    return k3s_addons.files(node["inputs"], k3s_config.data_dir(node["inputs"]), node.get("info") or {}, secret)


def shared(node: dict, cluster: dict) -> dict:
    """The cluster as k3s_config takes it.

    A server that started the cluster keeps cluster-init, which K3s does not look at once it has data; one that lost its data joins the others.
    """
    there = node["info"].get("cluster") or {}
    began = bool(there.get("etcd_data")) and bool(there.get("cluster_init"))
    leads = node["host"] == cluster["leader"] and (cluster["converts"] or not cluster["exists"])
    return {
        **{name: cluster[name] for name in "version datastore members endpoint pod_cidrs service_cidrs domain sans".split()},
        "init": leads or began,
        "leader": node["name"],
        "living": cluster["leader_address"],
        "api_port": cluster["api_port"],
        "plugin": cluster["plugin"],
        "plugin_options": cluster["shared"]["kube_network"]["options"],
        "proxy_mode": cluster["proxy_mode"],
        "disable": cluster["disable"],
        "agent_token": True,
        "secrets_encryption": cluster["secrets_encryption"],
        "hardened": cluster["shared"]["k3s_hardened"],
        "embedded_registry": cluster["shared"]["k3s_embedded_registry"],
        "datastore_files": k3s_datastore.key_files(cluster["shared"]["k3s_datastore_tls"]),
    }


def registries(given: dict, embedded: bool = False) -> list:
    """registries.yaml and the authorities it names, of the input kube_registries: [{path, content, mode, secret}].

    embedded: whether nodes share their images, which is done for the registries that are named; all of them where none is
    (https://docs.k3s.io/installation/registry-mirror).
    """
    mirrors, configs, found = {}, {}, []
    for name, mirror in sorted((given.get("mirrors") or ({"*": {}} if embedded else {})).items()):
        mirror = mirror or {}
        mirrors[name] = {"endpoint": list(mirror.get("endpoints") or mirror.get("endpoint") or [])}
        if mirror.get("rewrites"):
            mirrors[name]["rewrite"] = dict(mirror["rewrites"])
    secret = False
    for name, settings in sorted((given.get("configs") or {}).items()):
        auth = {key: settings[key] for key in ("username", "password", "token") if settings.get(key)}
        tls = {"insecure_skip_verify": True} if settings.get("insecure_skip_verify") else {}
        if settings.get("ca"):
            path = "/etc/rancher/k3s/registry-%s.crt" % _plain(name)
            found.append({"path": path, "content": settings["ca"].rstrip() + "\n", "mode": "0644", "secret": False})
            tls["ca_file"] = path
        if settings.get("certificate"):
            base = "/etc/rancher/k3s/registry-%s-client" % _plain(name)
            found += containerd_config.client_files(base, settings)
            tls.update(cert_file=base + ".crt", key_file=base + ".key")
        secret = secret or bool(auth)
        configs[name] = {key: value for key, value in (("auth", auth), ("tls", tls)) if value}
    made = {key: value for key, value in (("mirrors", mirrors), ("configs", configs)) if value}
    if made:
        text = "# Made by kubewright.cluster.\n" + dump(made)
        found.append({"path": REGISTRIES, "content": text, "mode": "0600", "secret": secret})
    return found


def _plain(registry):
    """A registry's name as part of a file's."""
    return "default" if registry == "*" else registry.replace(":", "_")


def secret_files(node: dict, cluster: dict) -> list:
    """The files with secrets that the inputs call for; tokens are made on the first server and are not among them."""
    values = node["inputs"]
    found = [entry for entry in registries(values["kube_registries"], values["k3s_embedded_registry"]) if entry["secret"]]
    own = k3s_config.secret_file(node, values["k3s_datastore_endpoint"])
    if node["role"] == "control_plane":
        found += k3s_datastore.files(values["k3s_datastore_tls"])
    found += [{**entry, "secret": True} for entry in _addons(node, True)]
    found += [{"path": path, "state": "absent", "content": None, "mode": None, "secret": True} for path in node.get("obsolete_files") or []]
    return found + ([own] if own else []) + proxy_files(node, values["kube_http_proxy"], cluster["no_proxy"])


def dropped(node: dict, wanted: list) -> list:
    """Paths of the datastore's files that are here, are ours and are no longer wanted: K3s would go on reading them."""
    there, kept = node["info"].get("files") or {}, [entry["path"] for entry in wanted]
    known = [k3s_config.SECRET_PATH, *(path for _key, path, _block in k3s_datastore.TLS.values())]
    return [path for path in known if path not in kept and (there.get(path) or {}).get("owned")]


def proxy_files(node: dict, proxy: dict, direct: list) -> list:
    """The service's environment with the proxy; OpenRC's is read by a shell. https://docs.k3s.io/advanced#configuring-an-http-proxy"""
    if not (proxy.get("http") or proxy.get("https")):
        return []
    settings = {
        "HTTP_PROXY": proxy.get("http") or proxy["https"],
        "HTTPS_PROXY": proxy.get("https") or proxy["http"],
        "NO_PROXY": ",".join(["localhost", "127.0.0.1", *direct, *(proxy.get("no_proxy") or [])]),
    }
    path = node.get("environment") or environment_path(node)
    quoted = shlex.quote if path.startswith("/etc/rancher/") else str
    content = "# Made by kubewright.cluster.\n" + "".join("%s=%s\n" % (name, quoted(value)) for name, value in settings.items())
    return [{"path": path, "content": content, "mode": "0600", "secret": True}]


def ports(cluster: dict) -> list:
    """Who must be let through to whom: https://docs.k3s.io/installation/requirements#networking"""

    def row(port, protocol, to, source, purpose):
        return {"port": port, "protocol": protocol, "to": to, "from": source, "purpose": purpose}

    pods = "pod networks %s" % ", ".join(cluster["pod_cidrs"])
    rows = [row(cluster["api_port"], "tcp", "control planes", "all nodes, administrators", "K3s supervisor and API")]
    if cluster["datastore"] == "embedded etcd":
        rows.append(row("2379-2380", "tcp", "control planes", "control planes", "etcd"))
    rows.append(row(10250, "tcp", "all nodes", "all nodes", "kubelet"))
    between = k3s_flannel.port(cluster["shared"]["kube_network"]["options"]) if cluster["plugin"] == "flannel" else None
    if between:
        rows.append(row(between[0], between[1], "all nodes", "all nodes", between[2]))
    if cluster["shared"]["k3s_embedded_registry"]:
        rows.append(row(5001, "tcp", "all nodes", "all nodes", "images from node to node"))
        rows.append(row(cluster["api_port"], "tcp", "all nodes", "all nodes", "images from node to node"))
    rows.append(row("30000-32767", "tcp, udp", "all nodes", "clients of NodePort Services", "Services"))
    if cluster["endpoint"]["mode"] == "vip":
        port = cluster["endpoint"]["port"]
        rows.append(row(port, "tcp", "control planes", "all nodes, administrators", "API endpoint"))
        rows.append(row("-", "vrrp (112)", "control planes", "control planes", "virtual address"))
    return rows + [row("-", "all", "all nodes", pods, "pods")]


def problems(values: dict) -> list:
    """Sentences on inputs that K3s alone has."""
    found = k3s_datastore.problems(values)
    ttl = values["k3s_bootstrap_token_ttl"]
    if ttl and not re.fullmatch(r"([0-9]+[hms])+", ttl):
        found.append("k3s_bootstrap_token_ttl %r is no span of time; write it as 2h or 90m" % ttl)
    elif ttl and not re.search("[1-9]", ttl):
        # https://docs.k3s.io/cli/token: with 0 the token never expires.
        found.append("k3s_bootstrap_token_ttl %r would make a token that never expires; write it as 2h or 90m" % ttl)
    pods, services = ({":" in cidr for cidr in values[name]} for name in ("kube_pod_cidrs", "kube_service_cidrs"))
    if pods != services:
        found.append(
            "kube_pod_cidrs %s and kube_service_cidrs %s differ in their address families; K3s needs both alike"
            % (", ".join(values["kube_pod_cidrs"]), ", ".join(values["kube_service_cidrs"]))
        )
    plugin = values["kube_network"]["plugin"]
    if plugin not in ("flannel", "none"):
        found.append("kube_network.plugin %s is for kubeadm nodes; K3s brings flannel: set it to auto, flannel or none" % plugin)
    wrong = k3s_addons.problems(values)
    # A chart without a name is none to ask further.
    return found + (wrong or k3s_parts.problems(values, plugin))


# What K3s never changes in a running cluster, and the input for it: https://docs.k3s.io/cli/server#critical-configuration-values
_FIXED = {"cluster-cidr": "kube_pod_cidrs", "service-cidr": "kube_service_cidrs", "cluster-domain": "kube_cluster_domain"}


def fixed(nodes: dict, shared: dict) -> list:
    """Sentences on inputs that differ from what running servers were started with. nodes: {info} by host."""
    found = []
    for host, node in sorted(nodes.items()):
        there = (node["info"].get("cluster") or {}).get("settings") or {}
        for key, name in _FIXED.items():
            wanted = shared[name] if isinstance(shared[name], list) else [shared[name]]
            if there.get(key) and there[key] != wanted:
                text = "%s is %s, and %s was started with %s, which K3s cannot change; set it back, or make a new cluster"
                found.append(text % (name, ", ".join(wanted), host, ", ".join(there[key])))
    return found


def images(cluster: dict, role: str) -> list:
    """K3s pulls what it packs by itself; its releases list them: k3s-images.txt. What the plan adds is nothing."""
    return []
