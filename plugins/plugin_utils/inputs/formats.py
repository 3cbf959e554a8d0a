# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The ranges and forms of inputs: one row an input.

A row is a check of forms.py or of a file beside it. An empty value means "not set" and is not checked, except for
NOT_EMPTY and in lists.
Inputs that are whole configurations of a component have its fields instead (fields.py).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from ..base.findings import Finding
from . import backup_forms, components, fields, forms, kubeadm_fields, kubelet_fields, manifest_forms, network_forms
from .forms import Check, number
from .network_forms import url

# Inputs that have no meaning when they are empty.
NOT_EMPTY = ("kube_cluster_name", "kube_cluster_domain", "kube_workers_at_once", "local_name")
# Keys whose text may have several lines.
SEVERAL_LINES = ("content", "ca", "certificate", "key", "repo_ca", "chart_content", "known_hosts")
# By path: [] stands for each element of a list, {} for each value of a map, {key} for each key of it.
FORMATS: dict[str, Check] = {
    "kube_version": forms.version,
    "kube_cluster_name": forms.cluster_name,
    "kube_cluster_domain": forms.cluster_domain,
    "kube_api_endpoint.address": network_forms.host,
    "kube_api_endpoint.port": forms.port,
    "kube_api_endpoint.interface": forms.interface,
    "kube_api_endpoint.virtual_router_id": number(1, 255),
    "kube_api_endpoint.password": network_forms.vrrp_password,
    "kube_api_port": forms.port,
    "kube_api_sans[]": network_forms.wildcard_host,
    "kube_pod_cidrs[]": network_forms.cluster_cidr,
    "kube_service_cidrs[]": network_forms.cluster_cidr,
    "kube_network.options.mtu": network_forms.mtu,
    "kube_network.options.args": forms.words,
    "kube_network.options.args[]": forms.flag,
    "kube_network.options.image": forms.image,
    "kube_node_name": forms.node_name,
    "kube_node_ip": network_forms.node_ip,
    "kube_node_labels{key}": forms.label_key,
    "kube_node_labels{}": forms.label_value,
    "kube_node_taints": forms.taints,
    "kube_node_taints[]": forms.taint,
    "kube_registries.mirrors{key}": network_forms.registry,
    "kube_registries.mirrors{}.override_path": forms.boolean,
    "kube_registries.configs{key}": network_forms.registry,
    "kube_registries.configs{}.username": forms.user_name,
    "kube_registries.configs{}.password": forms.password,
    "kube_registries.configs{}.token": forms.password,
    "kube_registries.configs{}.ca": forms.plain_text,
    "kube_registries.configs{}.certificate": forms.plain_text,
    "kube_registries.configs{}.key": forms.plain_text,
    "kube_registries.configs{}.insecure_skip_verify": forms.boolean,
    "kube_artifacts.source": network_forms.source,
    "kube_artifacts.versions{key}": forms.component,
    "kube_artifacts.versions.containerd": forms.containerd_version,
    "kube_artifacts.versions.runc": forms.version_of("runc"),
    "kube_artifacts.versions.cni": forms.version_of("cni"),
    "kube_artifacts.versions.crictl": forms.version_of("crictl"),
    "kube_artifacts.checksums{key}": url("http", "https"),
    "kube_artifacts.checksums{}": forms.digest,
    "kube_http_proxy.http": network_forms.proxy,
    "kube_http_proxy.https": network_forms.proxy,
    "kube_http_proxy.no_proxy[]": network_forms.exception,
    "kube_data_dir": forms.data_dir,
    "kube_backup.schedule": backup_forms.schedule,
    "kube_backup.keep": number(0, 100000),
    "kube_backup.recipients[]": backup_forms.recipient,
    "kube_backup.to[]": backup_forms.destination,
    "kube_backup.to[].directory": backup_forms.archive_directory,
    "kube_backup.to[].sftp.host": network_forms.host,
    "kube_backup.to[].sftp.port": number(1, 65535),
    "kube_backup.to[].sftp.user": backup_forms.user,
    "kube_backup.to[].sftp.key": forms.pem,
    "kube_backup.to[].sftp.known_hosts": backup_forms.known_hosts,
    "kube_backup.to[].sftp.path": backup_forms.remote_path,
    "kube_backup.to[].s3.endpoint": url("https", "http"),
    "kube_backup.to[].s3.bucket": backup_forms.bucket,
    "kube_backup.to[].s3.prefix": backup_forms.prefix,
    "kube_backup.to[].s3.region": backup_forms.region,
    "kube_backup.to[].s3.access_key": backup_forms.key_of_s3,
    "kube_backup.to[].s3.secret_key": backup_forms.key_of_s3,
    "kube_backup.to[].s3.ca": forms.pem,
    "kube_reserved.kube_memory": forms.memory,
    "kube_reserved.system_memory": forms.memory,
    "kube_reserved.kube_cpu": forms.amount,
    "kube_reserved.system_cpu": forms.amount,
    "kube_manifests[].name": forms.subdomain,
    "kube_manifests[].content": manifest_forms.manifest,
    "kube_hooks.before_node": forms.hook,
    "kube_hooks.after_node": forms.hook,
    "kube_hooks.after_cluster": forms.hook,
    "upgrade_before_node": forms.hook,
    "upgrade_after_node": forms.hook,
    "kube_workers_at_once": forms.at_once,
    "kube_clock_tolerance": number(0.5, 3600),
    "kubeadm_cluster_config.etcd.external.endpoints[]": url("https", "http"),
    "kubeadm_ignore_preflight_errors[]": forms.check_name,
    "kubeadm_timeout": forms.wait,
    "k3s_install_script.checksum": forms.digest,
    "k3s_install_script.url": url("http", "https"),
    "k3s_binary": forms.absolute,
    "k3s_helm_charts[].name": forms.label,
    "k3s_helm_charts[].repo": url("http", "https", "oci"),
    "k3s_helm_charts[].repo_ca": forms.pem,
    "k3s_helm_charts[].repo_ca_config_map": forms.subdomain,
    "k3s_helm_charts[].chart_content": forms.base64_text,
    "k3s_helm_charts[].namespace": forms.label,
    "k3s_helm_charts[].timeout": forms.duration,
    "k3s_helm_charts[].version": forms.chart_version,
    "k3s_helm_charts[].backoff_limit": number(0, 10000),
    "k3s_helm_charts[].job_image": forms.image,
    "k3s_helm_charts[].auth_secret": forms.subdomain,
    "k3s_helm_charts[].docker_registry_secret": forms.subdomain,
    "k3s_helm_charts[].values_secrets[].name": forms.subdomain,
    "k3s_helm_configs[].name": forms.label,
    "k3s_token": forms.token,
    "k3s_server_url": url("https", login=True),  # agents_only.py refuses it
    "k3s_timeout": forms.wait,
    # Of the playbooks' own options.
    "backup_keep": number(0, 100000),
    "backup_dir": backup_forms.controller_directory,
    "backup_check": backup_forms.archive,
    "restore_archive": backup_forms.archive,
    "remove_timeout": number(1, 86400),
    "upgrade_timeout": number(1, 86400),
    "local_image": forms.image,
    "local_network": forms.container_network,
    "local_nodes[].env": forms.environment,
    "verify_timeout": number(1, 86400),
    "verify_certificate_days": number(0, 3650),
    "verify_image": forms.image,
    "rotate_days": number(1, 3650),
    "rotate_timeout": number(30, 86400),
    "local_name": forms.label,
    "local_control_planes": number(1, 99),
    "local_workers": number(0, 189),
    "local_nodes": forms.own_names,
    "local_nodes[].name": forms.label,
    "local_nodes[].cpus": number(0.1, 1024),
    "local_nodes[].memory": forms.container_memory,
    "local_nodes[].ports": network_forms.forwarded_ports,
    "local_nodes[].ports[]": network_forms.forwarded_port,
    "local_ports": network_forms.forwarded_ports,
    "local_ports[]": network_forms.forwarded_port,
    "local_cpus": number(0.1, 1024),
    "local_memory": forms.container_memory,
    "local_subnet": network_forms.local_subnet,
    "local_timeout": number(1, 86400),
}
# Inputs that are configurations of a component: its name, and its fields.
CONFIGURATIONS: dict[str, tuple[str, fields.Fields]] = {
    "kubelet_config": ("KubeletConfiguration", kubelet_fields.FIELDS),
    "kubeadm_cluster_config": ("ClusterConfiguration", kubeadm_fields.CLUSTER),
    "kubeadm_init_config": ("InitConfiguration", kubeadm_fields.INIT),
    "kubeadm_join_config": ("JoinConfiguration", kubeadm_fields.JOIN),
    "kubeadm_proxy_config": ("KubeProxyConfiguration", kubeadm_fields.PROXY),
}


def problems(name: str, value: Any, newer: bool = False) -> list[Finding]:
    """Return what is wrong with the form of one input's value.

    newer: True if the Kubernetes version is newer than the fields of configurations that are known here.
    """
    found = []
    if name in CONFIGURATIONS:
        kind, known = CONFIGURATIONS[name]
        for where, *wrong in fields.problems(name, value, known, newer):
            text = "%s (%s): %s; %s" % (where, kind, *wrong)
            found.append(Finding("inputs.format", text, value=where))
    for where, *wrong in components.problems(name, value, newer):
        found.append(Finding("inputs.format", "%s: %s; %s" % (where, *wrong), value=where))
    for path, check in FORMATS.items():
        if path != name and not path.startswith((name + ".", name + "[", name + "{")):
            continue
        optional = name not in NOT_EMPTY and not path.endswith(("[]", "{key}"))
        for where, item in _items(name, value, path[len(name) :]):
            if item is None and not path.endswith("{}") or item == "" and optional:
                continue
            wrong_form = check(item) if item != "" else ("it is empty", "set it, or leave it out for the default")
            if wrong_form:
                shown = _shown(where)
                text = _shown("%s: %s; %s" % (where, *wrong_form))
                found.append(Finding("inputs.format", text, value=shown))
    return found


def _shown(text: str) -> str:
    """Return a message without the logins of URLs, which stand in keys of maps too, and with very long words cut."""
    return re.sub(r"\S{100,}", lambda word: word[0][:60] + '..."', re.sub(r"://[^\s\"]*@", "://...@", text))


def several_lines(path: str, value: str) -> Finding | None:
    """Refuse line ends and other control characters in text that goes into files and commands as one line."""
    if path.rpartition(".")[2] in SEVERAL_LINES or not re.search(r"[\x00-\x1f\x7f\u0085\u2028\u2029]", value):
        return None
    text = "%s: it has a line end or another control character; write it in one line (without | in YAML)"
    return Finding("inputs.format", text % path, value=path)


def _items(where: str, value: Any, rest: str) -> Iterator[tuple[str, Any]]:
    """Yield (path, value) of each value that the rest of a row's path names."""
    if not rest:
        yield where, value
    elif rest.startswith("{key}"):
        for key in value or {}:
            yield where, str(key)
    elif rest.startswith("{}"):
        for key, item in (value or {}).items():
            yield from _items("%s.%s" % (where, key), item, rest[2:])
    elif rest.startswith("[]"):
        for number_, item in enumerate(value if isinstance(value, (list, tuple)) else []):
            yield from _items("%s[%d]" % (where, number_), item, rest[2:])
    else:
        key, more = re.match(r"\.(\w+)(.*)", rest).groups()  # type: ignore[union-attr]
        yield from _items("%s.%s" % (where, key), (value or {}).get(key) if isinstance(value, Mapping) else None, more)
