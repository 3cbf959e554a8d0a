# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""K3s as its hardening guide has it: https://docs.k3s.io/security/hardening-guide ("v1.29 and Newer").

The files are below /etc/rancher/k3s: in the server's data directory, where the guide has them, they would be there before K3s makes it, and
for its eyes alone.
"""

from __future__ import annotations

from ..base.distribution import Inputs, Nodes
from ..base.yaml_documents import dump

PAGE = "https://docs.k3s.io/security/hardening-guide"
SECRETS_PAGE = "https://docs.k3s.io/cli/secrets-encrypt"
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


def warnings(shared: dict, encrypts: bool, nodes: dict) -> list:
    """What the profile cannot do here, and what of it a node's own settings take back. encrypts: whether Secrets are. nodes: {role, inputs}."""
    if not shared["k3s_hardened"]:
        return []
    found = []
    if shared["kube_network"]["plugin"] == "none" or (shared.get("k3s_config") or {}).get("disable-network-policy") in (True, "true"):
        found.append("k3s_hardened: K3s's controller of network policies is off; the profile's policies need another one (%s)" % PAGE)
    if not encrypts:
        found.append(
            "k3s_hardened: a running cluster's Secrets stay as they are; K3s encrypts them only where it was first started so (%s)" % SECRETS_PAGE
        )
    for host, node in sorted(nodes.items()):
        found += ["%s: %s" % (host, text) for text in _taken_back(node)]
    return found


def encrypted(nodes: Nodes, shared: Inputs, exists: bool) -> bool:
    """Return True if Secrets are encrypted: as asked for, as the servers have it already, or in a new cluster by the profile."""
    return bool(shared["k3s_secrets_encryption"] or encrypts(nodes) or shared["k3s_hardened"] and not exists)


def encrypts(nodes: Nodes) -> bool:
    """Return True if a server is set to encrypt Secrets already."""
    return any((node["info"].get("cluster") or {}).get("secrets_encryption") for node in nodes.values())


def problems(host: str, node: dict, hardened: bool) -> list:
    """Sentences on kernel settings that the kubelet would insist on and that cannot be set on this node. node: {info}.

    A container has its host's, which are not its own to change: other nodes and the host's programs live by them.
    """
    info, found = node["info"], []
    there = (info.get("kernel") or {}).get("sysctls") or {}
    if not hardened:
        return []
    for name, wanted in SYSCTLS.items():
        value = there.get(name, "")
        if value is None:
            text = "%s: its kernel has no %s, which k3s_hardened needs as %s; take another kernel, or leave k3s_hardened off"
            found.append(text % (host, name, wanted))
        elif value not in ("", wanted) and (info.get("virtualization") or {}).get("container"):
            text = "%s is a container and %s of its host is %s; k3s_hardened needs %s: run `sysctl -w %s=%s` on the host, or leave k3s_hardened off"
            found.append(text % (host, name, value, wanted, name, wanted))
    return found


def fixed(shared: dict, nodes: dict, exists: bool, encrypts: bool) -> list:
    """The refusal of k3s_secrets_encryption on a cluster that was started without. encrypts: whether a server has it already."""
    servers = [host for host, node in sorted(nodes.items()) if node["role"] == "control_plane"]
    if not (shared["k3s_secrets_encryption"] and exists and servers) or encrypts:
        return []
    text = "k3s_secrets_encryption: %s was started without, and K3s does not support to turn it on later (%s); set it to false, or make a new cluster"
    return [text % (servers[0], SECRETS_PAGE)]


# Arguments that Kubernetes takes several times and joins; of all others the last one counts (k3s-io/k3s, pkg/util/args.go).
_JOINED = ("enable-admission-plugins", "tls-cipher-suites")


def _taken_back(node):
    """Sentences on what a node's k3s_config sets otherwise than the profile."""
    given, found = node["inputs"].get("k3s_config") or {}, []
    for key, wanted in keys(node["role"] == "control_plane", "").items():
        own = given.get(key, given.get(key + "+"))
        if own is None:
            continue
        if not isinstance(wanted, list):
            if str(own).lower() != str(wanted).lower():
                found.append("k3s_config.%s is %s and takes back that of k3s_hardened" % (key, own))
            continue
        names = {str(item).lstrip("-").partition("=")[0].rstrip("+-") for item in (own if isinstance(own, list) else [own])}
        ours = {item.partition("=")[0] for item in wanted}
        text = "k3s_config.%s has its own %s, which counts in place of that of k3s_hardened"
        found += [text % (key, name) for name in sorted((names & ours) - set(_JOINED))]
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
