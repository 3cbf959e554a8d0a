# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Compare a running cluster's ClusterConfiguration with the wanted one: what differs, and what of it site can change.

kubeadm keeps the document in the ConfigMap kubeadm-config. `kubeadm init phase control-plane` writes the static pods of
the three components of APPLIED; nothing of the other fields reaches a running cluster that way, so a change of them is
refused.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import yaml

from ..base.findings import Finding
from ..inputs import lifecycle

# Inputs that are fixed for the life of a cluster, by their place in ClusterConfiguration.
FIXED = lifecycle.configurations()
APPLIED = ("apiServer", "controllerManager", "scheduler")
_COMPONENTS = {
    "kube-apiserver": "apiServer",
    "kube-controller-manager": "controllerManager",
    "kube-scheduler": "scheduler",
}
# What kubeadm itself gives the components, in 1.34 to 1.37: cmd/kubeadm/app/phases/controlplane/manifests.go
_OWN_FLAGS = frozenset(
    """
    advertise-address allocate-node-cidrs allow-privileged authentication-kubeconfig authorization-kubeconfig
    authorization-mode bind-address client-ca-file cluster-cidr cluster-name cluster-signing-cert-file
    cluster-signing-key-file controllers enable-admission-plugins enable-bootstrap-token-auth etcd-cafile etcd-certfile
    etcd-keyfile etcd-servers kubeconfig kubelet-client-certificate kubelet-client-key kubelet-preferred-address-types
    leader-elect proxy-client-cert-file proxy-client-key-file requestheader-allowed-names requestheader-client-ca-file
    requestheader-extra-headers-prefix requestheader-group-headers requestheader-username-headers root-ca-file
    secure-port service-account-issuer service-account-key-file service-account-private-key-file
    service-account-signing-key-file service-cluster-ip-range tls-cert-file tls-private-key-file
    use-service-account-credentials
    """.split()
)
# Set by other inputs, or only a form.
_ELSEWHERE = {"controlPlaneEndpoint", "clusterName", "networking", "kubernetesVersion", "apiVersion", "kind"}
# Lists of a component that disappear from the document when the user drops them.
_LISTS = ("extraArgs", "extraVolumes", "extraEnvs")
# What kubeadm stores where nothing is set: cmd/kubeadm/app/apis/kubeadm/v1beta4/defaults.go, durations in seconds.
_DEFAULTS: dict[tuple[str, ...], Any] = {
    ("caCertificateValidityPeriod",): 87600 * 3600.0,
    ("certificateValidityPeriod",): 8760 * 3600.0,
    ("certificatesDir",): "/etc/kubernetes/pki",
    ("encryptionAlgorithm",): "RSA-2048",
    ("etcd", "local", "dataDir"): "/var/lib/etcd",
    ("imageRepository",): "registry.k8s.io",
    ("proxy", "disabled"): False,
    ("dns", "disabled"): False,
}
_SECONDS = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 1e-3, "us": 1e-6, "ns": 1e-9}
_PART = re.compile(r"([0-9]+(?:\.[0-9]+)?)(h|ms|m|s|us|ns)")
_DURATION = re.compile("(?:%s)+" % _PART.pattern)


def stored(live: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return the ClusterConfiguration that the cluster keeps; empty where there is none or it cannot be read."""
    try:
        found = yaml.safe_load(((live or {}).get("kubeadm_config") or {}).get("ClusterConfiguration") or "")
    except yaml.YAMLError:
        return {}
    return found if isinstance(found, dict) else {}


def with_etcd_of(there: Mapping[str, Any], wanted: Mapping[str, Any]) -> dict[str, Any]:
    """Return a stored configuration with etcd as it is wanted: an upgrade changes etcd's image."""
    return {**there, "etcd": wanted.get("etcd") or {}} if there else {}


def fixed(there: Mapping[str, Any], wanted: Mapping[str, Any]) -> list[Finding]:
    """Refuse changes that a running cluster cannot take, or that site does not apply to it."""
    found = []
    for path, name in FIXED.items():
        old, new = _at(there, path), _at(wanted, path)
        if old is not None and old != new:
            text = (
                "%s: %s differs from the running cluster's %s, which cannot be changed. Put it back, or make a "
                "new cluster."
            )
            found.append(Finding("inputs.fixed", text % (name, new, old), value=new, limit=old))
    for key, value in wanted.items():
        if there and key not in APPLIED and key not in _ELSEWHERE and not _holds(there.get(key), value):
            text = (
                "kubeadm_cluster_config.%s: differs from the running cluster's configuration, and site does "
                "not apply it to a "
                "running cluster. Put it back, or change it with kubeadm on every control plane first."
            )
            found.append(Finding("cluster_config.not_applied", text % key, value=value, limit=there.get(key)))
    return found + _dropped(there, wanted)


def _dropped(there: Mapping[str, Any], wanted: Mapping[str, Any]) -> list[Finding]:
    """Refuse settings that the running cluster has and the inventory does not set any more.

    Values that kubeadm fills in itself do not count.
    """
    text = (
        "kubeadm_cluster_config.%s: the running cluster has %s, the inventory does not set it any more, and site "
        "does not take it from a running cluster. Put it back, or change it with kubeadm on every control plane first."
    )
    found = []
    for path, value in sorted(_leaves(there, ()).items()):
        own = path[0] not in APPLIED and path[0] not in _ELSEWHERE and _at(wanted, path) is None
        if own and value not in ({}, [], None, "") and _DEFAULTS.get(path) != _plain(value):
            name = ".".join(path)
            found.append(Finding("cluster_config.dropped", text % (name, value), value=name, limit=value))
    return found


def _leaves(document: Mapping[str, Any], path: tuple[str, ...]) -> dict[tuple[str, ...], Any]:
    """Return the values of a document by their path; lists are values."""
    found: dict[tuple[str, ...], Any] = {}
    for key, value in document.items():
        if isinstance(value, Mapping) and value:
            found.update(_leaves(value, (*path, str(key))))
        else:
            found[(*path, str(key))] = value
    return found


def edited(
    host: str, flags: Mapping[str, Sequence[str]], stored: Mapping[str, Any], wanted: Mapping[str, Any]
) -> list[Finding]:
    """Refuse flags that somebody added to a node's manifests: kubeadm writes them again without those.

    flags: names by component, in the manifests. stored, wanted: ClusterConfiguration.
    """
    text = (
        "%s: the manifest of %s has --%s, which is not in the cluster's kubeadm configuration. kubeadm would write it "
        "without that. Set it in kubeadm_cluster_config.%s.extraArgs, or take it out of the manifest."
    )
    found = []
    for component, key in _COMPONENTS.items():
        given = {name for document in (stored, wanted) for name in _argument_names(_at(document, (key, "extraArgs")))}
        for flag in flags.get(component) or ():
            if flag not in _OWN_FLAGS and flag not in given:
                found.append(Finding("manifest.edited", text % (host, component, flag, key), host, flag))
    return found


def other_etcd(host: str, servers: Sequence[str], stored: Mapping[str, Any]) -> list[Finding]:
    """Refuse an API server with another etcd than the stored configuration has: an upgrade would write the old one.

    https://github.com/kubernetes/kubernetes/issues/93161
    """
    known = _etcd_servers(stored)
    if not servers or not known or sorted(servers) in [sorted(each) for each in known]:
        return []
    text = (
        "%s: its API server uses etcd at %s, and the cluster's kubeadm configuration names %s, which kubeadm would "
        "write into the manifest. Correct the configuration first: `kubeadm init phase upload-config kubeadm --config FILE`"
    )
    shown, named = ", ".join(servers), ", ".join(known[0])
    return [Finding("manifest.etcd_servers", text % (host, shown, named), host, shown, named)]


def _argument_names(given: Any) -> list[str]:
    """Return the names of extra arguments, which are a list of {name, value} or, in older releases, a map."""
    if isinstance(given, Mapping):
        return [str(name) for name in given]
    return [str(row.get("name")) for row in given or [] if isinstance(row, Mapping)]


def _etcd_servers(document: Mapping[str, Any]) -> list[list[str]]:
    """Return the addresses that kubeadm writes for a configuration, any of these; [] if that is not known.

    https://github.com/kubernetes/kubernetes/blob/v1.37.2/cmd/kubeadm/app/phases/controlplane/manifests.go
    """
    external = _at(document, ("etcd", "external", "endpoints"))
    if external:
        return [[str(url) for url in external]]
    if not document or "advertise-client-urls" in _argument_names(_at(document, ("etcd", "local", "extraArgs"))):
        return []
    return [["https://127.0.0.1:2379"], ["https://[::1]:2379"]]


def proxy(live: Mapping[str, Any], given: Mapping[str, Any]) -> list[Finding]:
    """Warn of a kubeadm_proxy_config that the running cluster's kube-proxy does not have: site does not apply it.

    kubeadm stores every field with its default. A key that is not stored is one that kube-proxy does not know.
    """
    there = _document(live.get("proxy_config"))
    return [
        Finding(
            "proxy_config.not_applied",
            "kubeadm_proxy_config.%s: differs from the running cluster's kube-proxy, which keeps what it was "
            "started with. "
            "Change the ConfigMap kube-proxy in kube-system, or put the input back." % key,
            value=value,
            limit=there.get(key),
        )
        for key, value in given.items()
        if key in there and not _holds(there[key], value)
    ]


def changed(there: Mapping[str, Any], wanted: Mapping[str, Any]) -> list[str]:
    """Return sentences on what the control planes must be configured with again.

    Fields that only kubeadm fills in do not count.
    """
    found = [
        "%s is %r, not %r" % (key, there.get(key), wanted[key])
        for key in APPLIED
        if there and key in wanted and not _holds(there.get(key), wanted[key])
    ]
    for component in APPLIED:
        for name in _LISTS:
            extra = _at(there, (component, name))
            if extra and not _at(wanted, (component, name)):
                found.append("%s.%s %r will be removed" % (component, name, extra))
    return found


def _document(text: Any) -> dict[str, Any]:
    try:
        found = yaml.safe_load(text or "")
    except yaml.YAMLError:
        return {}
    return found if isinstance(found, dict) else {}


def _at(document: Any, path: tuple[str, ...]) -> Any:
    for key in path:
        document = document.get(key) if isinstance(document, Mapping) else None
    return document


def _holds(there: Any, wanted: Any) -> bool:
    """Return True if the stored value says all that the wanted one does."""
    if isinstance(wanted, Mapping):
        inner = there if isinstance(there, Mapping) else {}
        return all(_holds(inner.get(key), value) for key, value in wanted.items())
    return bool(_plain(there) == _plain(wanted) or not there and not wanted)


def _plain(value: Any) -> Any:
    """Return a duration in seconds, since kubeadm stores 1h as 1h0m0s; any other value as it is."""
    if isinstance(value, str) and _DURATION.fullmatch(value):
        return sum(float(number) * _SECONDS[unit] for number, unit in _PART.findall(value))
    return value
