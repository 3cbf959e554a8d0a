# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The profile of K3s's hardening guide: https://docs.k3s.io/security/hardening-guide ("v1.29 and Newer").

The files are below /etc/rancher/k3s. The guide has them in the server's data directory, but K3s creates that itself,
with permissions of its own.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..base.distribution import File, Inputs, Node, Nodes
from ..base.findings import Finding
from ..base.yaml_documents import dump

PAGE = "https://docs.k3s.io/security/hardening-guide"
SECRETS_PAGE = "https://docs.k3s.io/cli/secrets-encrypt"
DIRECTORY = "/etc/rancher/k3s/hardening/"
ADMISSION, AUDIT = DIRECTORY + "admission.yaml", DIRECTORY + "audit.yaml"
MANIFEST = "kubewright-hardening"
# What the kubelet needs with protect-kernel-defaults: the guide, and pkg/kubelet/cm/container_manager_linux.go for
# kernel.keys.
SYSCTLS = {
    "kernel.keys.root_maxbytes": "25000000",
    "kernel.keys.root_maxkeys": "1000000",
    "kernel.panic": "10",
    "kernel.panic_on_oops": "1",
    "vm.overcommit_memory": "1",
    "vm.panic_on_oom": "0",
}
_CIPHERS = (
    "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384",
    "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384",
    "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256",
    "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256",
    "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305",
    "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305",
)
# The guide exempts the namespace of K3s's packaged components.
_EXEMPT = ["kube-system"]
# EventRateLimit does not start without limits. These are from the example in
# https://kubernetes.io/docs/reference/access-authn-authz/admission-controllers/#eventratelimit
_EVENTS = [
    {"type": "Namespace", "qps": 50, "burst": 100, "cacheSize": 2000},
    {"type": "User", "qps": 10, "burst": 50},
]


def keys(server: bool, data_dir: str) -> dict[str, Any]:
    """Return the profile's keys of config.yaml on a server or an agent."""
    made: dict[str, Any] = {
        "protect-kernel-defaults": True,
        "kubelet-arg": ["streaming-connection-idle-timeout=5m", "tls-cipher-suites=" + ",".join(_CIPHERS)],
    }
    if server:
        made["kube-apiserver-arg"] = [
            "enable-admission-plugins=NodeRestriction,EventRateLimit",
            "admission-control-config-file=" + ADMISSION,
            "audit-log-path=%s/server/logs/audit.log" % data_dir,
            "audit-policy-file=" + AUDIT,
            "audit-log-maxage=30",
            "audit-log-maxbackup=10",
            "audit-log-maxsize=100",
            "service-account-extend-token-expiration=false",
        ]
        made["kube-controller-manager-arg"] = ["terminated-pod-gc-threshold=100"]
    return made


def files() -> list[File]:
    """Return a server's configuration of admission and audit: [{path, content, mode}]."""
    level: dict[str, str] = {}
    for name in ("enforce", "audit", "warn"):
        level.update({name: "restricted", name + "-version": "latest"})
    security = {
        "apiVersion": "pod-security.admission.config.k8s.io/v1",
        "kind": "PodSecurityConfiguration",
        "defaults": level,
        "exemptions": {"usernames": [], "runtimeClasses": [], "namespaces": _EXEMPT},
    }
    events = {"apiVersion": "eventratelimit.admission.k8s.io/v1alpha1", "kind": "Configuration", "limits": _EVENTS}
    admission = {
        "apiVersion": "apiserver.config.k8s.io/v1",
        "kind": "AdmissionConfiguration",
        "plugins": [
            {"name": "PodSecurity", "configuration": security},
            {"name": "EventRateLimit", "configuration": events},
        ],
    }
    audit = {"apiVersion": "audit.k8s.io/v1", "kind": "Policy", "rules": [{"level": "Metadata"}]}
    return [
        {"path": path, "content": "# Made by kubewright.cluster: %s\n" % PAGE + dump(document), "mode": "0600"}
        for path, document in ((ADMISSION, admission), (AUDIT, audit))
    ]


def manifests(shared: Inputs, nodes: Nodes) -> list[dict[str, Any]]:
    """Return the manifest with the profile's objects, or its removal if the profile was on and is off now.

    nodes: {info} by host.
    """
    if shared["k3s_hardened"]:
        return [{"name": MANIFEST, "content": "---\n".join(dump(item) for item in _objects()), "state": "present"}]
    was_on = any(((node["info"].get("files") or {}).get(ADMISSION) or {}).get("owned") for node in nodes.values())
    return [{"name": MANIFEST, "state": "absent"}] if was_on else []


def warnings(shared: Inputs, encrypts: bool, nodes: Nodes) -> list[Finding]:
    """Warn of parts of the profile that have no effect here.

    encrypts: True if Secrets are encrypted. nodes: {role, inputs} by host.
    """
    if not shared["k3s_hardened"]:
        return []
    found = []
    policies_off = str((shared.get("k3s_config") or {}).get("disable-network-policy")).lower() == "true"
    if shared["kube_network"]["plugin"] == "none" or policies_off:
        text = "k3s_hardened: K3s's network policy controller is off. Install another one to enforce its policies (%s)."
        found.append(Finding("k3s_hardened.no_policy_controller", text % PAGE))
    if not encrypts:
        text = (
            "k3s_hardened: Secrets are not encrypted, because the cluster was started without encryption. "
            "To encrypt them, create a new cluster (%s)."
        )
        found.append(Finding("k3s_hardened.secrets_not_encrypted", text % SECRETS_PAGE))
    for host, node in sorted(nodes.items()):
        found += _overrides(host, node)
    return found


def encrypted(nodes: Nodes, shared: Inputs, exists: bool) -> bool:
    """Return True if Secrets are encrypted: as requested, as on running servers, or by the profile in a new cluster."""
    return bool(shared["k3s_secrets_encryption"] or encrypts(nodes) or shared["k3s_hardened"] and not exists)


def encrypts(nodes: Nodes) -> bool:
    """Return True if a server is set to encrypt Secrets already."""
    return any((node["info"].get("cluster") or {}).get("secrets_encryption") for node in nodes.values())


def problems(host: str, node: Node, hardened: bool) -> list[Finding]:
    """Refuse kernel settings that the kubelet needs and that cannot be set on this node. node: {info}.

    A container has the settings of its host, which other nodes and the host's own programs depend on.
    """
    if not hardened:
        return []
    info, found = node["info"], []
    sysctls = (info.get("kernel") or {}).get("sysctls") or {}
    in_container = (info.get("virtualization") or {}).get("container")
    for name, wanted in SYSCTLS.items():
        value = sysctls.get(name, "")
        if value is None:
            text = "%s: its kernel has no %s, which k3s_hardened needs. Use another kernel, or set k3s_hardened: false."
            found.append(Finding("k3s_hardened.no_kernel_setting", text % (host, name), host, name, wanted))
        elif value not in ("", wanted) and in_container:
            text = (
                "%s: %s is %s on the host of this container, k3s_hardened needs %s. "
                "Run `sysctl -w %s=%s` on the host, or set k3s_hardened: false."
            )
            values = (host, name, value, wanted, name, wanted)
            found.append(Finding("k3s_hardened.kernel_setting_of_host", text % values, host, value, wanted))
    return found


def fixed(shared: Inputs, nodes: Nodes, exists: bool, encrypts: bool) -> list[Finding]:
    """Refuse to turn on the encryption of Secrets later. encrypts: True if a server has it already."""
    servers = [host for host, node in sorted(nodes.items()) if node["role"] == "control_plane"]
    if not (shared["k3s_secrets_encryption"] and exists and servers) or encrypts:
        return []
    text = (
        "%s was started without k3s_secrets_encryption, and K3s cannot turn it on later. "
        "Set k3s_secrets_encryption: false, or create a new cluster (%s)."
    )
    return [Finding("k3s_secrets_encryption.fixed", text % (servers[0], SECRETS_PAGE), servers[0], True, False)]


# Kubernetes joins the values of these arguments; of all others the last one takes effect (pkg/util/args.go of K3s).
_JOINED = ("enable-admission-plugins", "tls-cipher-suites")


def _overrides(host: str, node: Node) -> list[Finding]:
    """Warn of keys and arguments in a node's k3s_config that override the profile."""
    given, found = node["inputs"].get("k3s_config") or {}, []
    for key, wanted in keys(node["role"] == "control_plane", "").items():
        own = given.get(key, given.get(key + "+"))
        if own is None:
            continue
        if isinstance(wanted, list):
            items = own if isinstance(own, list) else [own]
            names = {str(item).lstrip("-").partition("=")[0].rstrip("+-") for item in items}
            ours = {item.partition("=")[0] for item in wanted}
            for name in sorted((names & ours) - set(_JOINED)):
                text = "%s: %s in k3s_config.%s overrides k3s_hardened. Remove it to keep the profile's value."
                found.append(Finding("k3s_hardened.argument_overridden", text % (host, name, key), host, name))
        elif str(own).lower() != str(wanted).lower():
            text = "%s: k3s_config.%s is %s and overrides k3s_hardened, which needs %s. Remove it to keep that."
            found.append(Finding("k3s_hardened.key_overridden", text % (host, key, own, wanted), host, key, wanted))
    return found


def _objects() -> list[dict[str, Any]]:
    """Return the profile's network policies and service accounts."""
    policies = [
        _policy(space, "intra-namespace", {}, [{"from": [{"namespaceSelector": _labels(space)}]}]) for space in _SPACES
    ]
    dns = [{"ports": [{"port": 53, "protocol": kind} for kind in ("TCP", "UDP")]}]
    policies.append(_policy("kube-system", "default-network-dns-policy", {"k8s-app": "kube-dns"}, dns))
    for name, labels in _OPEN.items():
        policies.append(_policy("kube-system", name, labels, [{}]))
    accounts = [
        {
            "apiVersion": "v1",
            "kind": "ServiceAccount",
            "metadata": {"name": "default", "namespace": space},
            "automountServiceAccountToken": False,
        }
        for space in ("default", "kube-node-lease", "kube-public")
    ]
    return policies + accounts


_SPACES = ("default", "kube-public", "kube-system")
_OPEN = {
    "allow-all-metrics-server": {"k8s-app": "metrics-server"},
    "allow-all-svclbtraefik-ingress": {"svccontroller.k3s.cattle.io/svcname": "traefik"},
    "allow-all-traefik-v121-ingress": {"app.kubernetes.io/name": "traefik"},
}


def _labels(space: str) -> dict[str, Any]:
    return {"matchLabels": {"kubernetes.io/metadata.name": space}}


def _policy(space: str, name: str, labels: Mapping[str, str], ingress: list[Any]) -> dict[str, Any]:
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": {"name": name, "namespace": space},
        "spec": {
            "podSelector": {"matchLabels": dict(labels)} if labels else {},
            "ingress": ingress,
            "policyTypes": ["Ingress"],
        },
    }
