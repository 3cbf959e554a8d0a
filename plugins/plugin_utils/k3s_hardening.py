# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""K3s as its hardening guide has it: https://docs.k3s.io/security/hardening-guide ("v1.29 and Newer").

The files are below /etc/rancher/k3s: in the server's data directory, where the guide has them, they would be there before K3s makes it, and
for its eyes alone.
"""

from __future__ import annotations

from .documents import dump

PAGE = "https://docs.k3s.io/security/hardening-guide"
DIRECTORY = "/etc/rancher/k3s/hardening/"
ADMISSION, AUDIT = DIRECTORY + "admission.yaml", DIRECTORY + "audit.yaml"
MANIFEST = "kubewright-hardening"
# What the kubelet asks for with protect-kernel-defaults: the guide, and for the two of keys pkg/kubelet/cm/container_manager_linux.go.
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
# The guide exempts the namespace of K3s's own parts.
_EXEMPT = ["kube-system"]
# EventRateLimit does not start without limits; these are the example of
# https://kubernetes.io/docs/reference/access-authn-authz/admission-controllers/#eventratelimit
_EVENTS = [
    {"type": "Namespace", "qps": 50, "burst": 100, "cacheSize": 2000},
    {"type": "User", "qps": 10, "burst": 50},
]


def keys(server: bool, data_dir: str) -> dict:
    """K3s's settings of the profile on a server or an agent."""
    made = {
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


def files() -> list:
    """A server's files: what pods may be, and what is logged of each request: [{path, content, mode}]."""
    level = {}
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
        "plugins": [{"name": "PodSecurity", "configuration": security}, {"name": "EventRateLimit", "configuration": events}],
    }
    audit = {"apiVersion": "audit.k8s.io/v1", "kind": "Policy", "rules": [{"level": "Metadata"}]}
    return [
        {"path": path, "content": "# Made by kubewright.cluster: %s\n" % PAGE + dump(document), "mode": "0600"}
        for path, document in ((ADMISSION, admission), (AUDIT, audit))
    ]


def manifests(shared: dict, nodes: dict) -> list:
    """The profile's objects; where it is no longer wanted and was there, their removal. nodes: {info} by host."""
    if shared["k3s_hardened"]:
        return [{"name": MANIFEST, "content": "---\n".join(dump(item) for item in _objects()), "state": "present"}]
    there = any(((node["info"].get("files") or {}).get(ADMISSION) or {}).get("owned") for node in nodes.values())
    return [{"name": MANIFEST, "state": "absent"}] if there else []


def problems(shared: dict, exists: bool) -> list:
    """Warnings on what the profile cannot do here."""
    if not shared["k3s_hardened"]:
        return []
    found = []
    if shared["kube_network"]["plugin"] == "none" or (shared.get("k3s_config") or {}).get("disable-network-policy") in (True, "true"):
        found.append("k3s_hardened: K3s's controller of network policies is off; the profile's policies need another one (%s)" % PAGE)
    if exists and not shared["k3s_secrets_encryption"]:
        found.append(
            "k3s_hardened: a running cluster's Secrets stay as they are; k3s_secrets_encryption is for a new cluster, "
            "and `k3s secrets-encrypt enable` for this one (https://docs.k3s.io/security/secrets-encryption)"
        )
    return found


def _objects():
    policies = [_policy(space, "intra-namespace", {}, [{"from": [{"namespaceSelector": _labels(space)}]}]) for space in _SPACES]
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


def _labels(space):
    return {"matchLabels": {"kubernetes.io/metadata.name": space}}


def _policy(space, name, labels, ingress):
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": {"name": name, "namespace": space},
        "spec": {"podSelector": {"matchLabels": labels} if labels else {}, "ingress": ingress, "policyTypes": ["Ingress"]},
    }
