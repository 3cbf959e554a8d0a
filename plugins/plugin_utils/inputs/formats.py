# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The ranges and forms of inputs: one row an input.

A row is a check: it takes a value that has its type already and returns what is wrong with it as (problem, way out), or
None. An empty value means "not set" and is not checked, except for NOT_EMPTY.
"""

from __future__ import annotations

import difflib
import ipaddress
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any
from urllib.parse import urlsplit

import yaml

from ..base import labels, quantity, versions
from ..base.findings import Finding
from .kubelet_fields import FIELDS

Problem = tuple[str, str] | None
Check = Callable[[Any], Problem]

# RFC 1123: what Kubernetes accepts as the name of an object or a node.
LABEL = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
SUBDOMAIN = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")
DURATION = re.compile(r"([0-9]+(\.[0-9]+)?(ns|us|ms|s|m|h))+")
SHA256 = re.compile(r"(sha256:)?[0-9a-fA-F]{64}")
# Ports that every node uses already: kubelet, its healthz, kube-proxy's two
# (kubernetes.io/docs/reference/networking/ports-and-protocols).
TAKEN = {10250: "the kubelet", 10248: "the kubelet", 10249: "kube-proxy", 10256: "kube-proxy"}
ETCD_PORTS = {2379: "etcd", 2380: "etcd", 2381: "etcd", 10257: "kube-controller-manager", 10259: "kube-scheduler"}


def number(low: float, high: float | None = None) -> Check:
    """Return a check for a number from low to high (no upper limit if None)."""

    def check(value: float) -> Problem:
        if value < low or high is not None and value > high:
            return "%s is out of range" % value, "use %s" % (
                "%g to %g" % (low, high) if high is not None else "%g or more" % low
            )
        return None

    return check


def port(value: int) -> Problem:
    """Check a TCP port that Kubernetes does not use for something else on every node."""
    if not 1 <= value <= 65535:
        return "%d is not a TCP port" % value, "use 1 to 65535"
    used = {**TAKEN, **ETCD_PORTS}.get(value)
    return ("port %d belongs to %s" % (value, used), "use another port") if used else None


def text(pattern: re.Pattern[str], what: str, way_out: str, longest: int = 253) -> Check:
    """Return a check for text of a form."""

    def check(value: str) -> Problem:
        return (
            None if len(value) <= longest and pattern.fullmatch(value) else ('"%s" is not %s' % (value, what), way_out)
        )

    return check


label = text(LABEL, "a DNS label", "use lower-case letters, digits and -, at most 63 characters", 63)
subdomain = text(SUBDOMAIN, "a DNS name", "use lower-case letters, digits, - and dots, without a dot at either end")
duration = text(DURATION, "a duration", "write it as 90s, 30m or 2h")
digest = text(SHA256, "a SHA-256 digest", "give 64 hexadecimal digits")
cluster_name = text(
    re.compile(r"[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?"),
    "a name",
    "use letters, digits, -, _ and dots, at most 63 characters",
    63,
)
label_key = text(
    labels.KEY, "the key of a label", "write it as name or example.com/name, the name with at most 63 characters", 317
)
at_once = text(
    re.compile(r"[1-9][0-9]*|([1-9][0-9]?|100)%"), "a number of nodes or a percentage", "write it as 2 or 20%"
)


def host(value: str) -> Problem:
    """Check a DNS name or an IP address, without scheme and port."""
    if "://" in value:
        return '"%s" is a URL' % value, "give the name or address only"
    if _address(value) or SUBDOMAIN.fullmatch(value.lower()) and not re.fullmatch(r"[0-9.]+", value):
        return None
    return '"%s" is neither a DNS name nor an IP address' % value, "use a name such as api.example.com, or an address"


def wildcard_host(value: str) -> Problem:
    """Check a name or address for a certificate; a name may begin with `*.`."""
    return host(value[2:] if value.startswith("*.") else value)


def url(*schemes: str) -> Check:
    """Return a check for a URL with one of the schemes and a host. The value is not shown: it may hold a login."""

    def check(value: str) -> Problem:
        try:
            parts = urlsplit(value)
            good = parts.scheme in schemes and bool(parts.hostname) and (parts.port is None or 0 < parts.port < 65536)
        except ValueError:
            good = False
        return (
            None
            if good
            else (
                "it is not a URL that begins with %s://" % ":// or ".join(schemes),
                "write it as %s://host:port" % schemes[0],
            )
        )

    return check


def source(value: str) -> Problem:
    """Check where programs come from: upstream, the URL of a mirror, or a directory on the controller."""
    if value == "upstream" or value.startswith(("/", "~", "./", "../")):
        return None
    if "://" in value:
        return url("http", "https")(value)
    return (
        '"%s" is neither upstream, nor a URL, nor a path' % value,
        "write a mirror as https://mirror.example, a directory as /srv/mirror or ./mirror",
    )


def absolute(value: str) -> Problem:
    """Check an absolute directory other than /."""
    if not value.startswith("/"):
        return '"%s" is not an absolute path' % value, "begin it with /"
    if not re.fullmatch(r"[A-Za-z0-9._/@:+-]+", value):
        return '"%s" has blanks or other special characters' % value, "use letters, digits and . _ - @ : + only"
    if value.rstrip("/") == "" or ".." in value.split("/"):
        return '"%s" cannot hold the data' % value, "use a directory of its own, such as /data"
    return None


def version(value: str) -> Problem:
    """Check a Kubernetes version, in full or as a minor release; K3s's revision may follow."""
    try:
        major, _minor, _patch = versions.parse(value)
    except ValueError:
        return '"%s" is not a version' % value, "write it as 1.36 or 1.36.3"
    return None if major == 1 else ("%s is not a release of Kubernetes" % value, "write it as 1.36 or 1.36.3")


def component_version(value: Any) -> Problem:
    """Check the full version of a component."""
    good = re.fullmatch(r"v?[0-9]+\.[0-9]+\.[0-9]+([-+.][0-9A-Za-z.-]+)?", str(value))
    return None if good else ('"%s" is not a full version' % value, "write it as 2.2.9")


def amount(value: Any) -> Problem:
    """Check a Kubernetes quantity that is not negative."""
    try:
        quantity.parse(value)
    except ValueError:
        return '"%s" is not a quantity' % value, "write it as 512Mi, 2Gi, 250m or 1.5"
    return None


def cidr(value: str) -> Problem:
    """Check a network with its prefix length and without host bits."""
    try:
        ipaddress.ip_network(value)
    except ValueError:
        return _why_no_network(value)
    return None if "/" in value else ('"%s" has no prefix length' % value, "write it as 10.244.0.0/16")


def _why_no_network(value: str) -> tuple[str, str]:
    try:
        return '"%s" has host bits set' % value, "write it as %s" % ipaddress.ip_network(value, strict=False)
    except ValueError:
        return '"%s" is not a network' % value, "write it as 10.244.0.0/16"


def node_ip(value: str) -> Problem:
    """Check where a node's address comes from: addresses, interfaces or networks, separated by commas."""
    for part in value.split(","):
        part = part.strip()
        if "/" in part:
            wrong = cidr(part)
            if wrong:
                return wrong
        elif (
            not (_address(part) or re.fullmatch(r"[A-Za-z0-9_.:@-]{1,15}", part))
            or re.fullmatch(r"[0-9.]+", part)
            and not _address(part)
        ):
            return (
                '"%s" is not an address, an interface or a network' % part,
                "use one of the node's own, such as 10.0.0.5, eth1 or 10.0.0.0/24",
            )
    return None


def exception(value: str) -> Problem:
    """Check a name, domain, address or network that is reached without the proxy."""
    if value == "*" or not value or re.search(r"[\s/@]", value.partition("/")[0]) or "://" in value:
        return (
            '"%s" is not a host, a domain or a network' % value,
            "use names such as .example.com, addresses, or networks such as 10.0.0.0/8",
        )
    return cidr(value) if "/" in value else None


def taint(value: str) -> Problem:
    """Check a taint: key=value:Effect or key:Effect."""
    try:
        labels.parse_taint(value)
    except ValueError:
        return '"%s" is not a taint' % value, "write it as key=value:NoSchedule (or PreferNoSchedule, NoExecute)"
    return None


def label_value(value: Any) -> Problem:
    """Check the value of a Node's label."""
    good = labels.is_value(labels.text_of(value))
    return (
        None if good else ('"%s" is not the value of a label' % value, "use at most 63 letters, digits, -, _ and dots")
    )


def manifest(value: str) -> Problem:
    """Check that text is YAML and that each document in it is an object with kind and name."""
    try:
        documents = [document for document in yaml.safe_load_all(value) if document is not None]
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        return "it is not YAML%s" % (" (line %d)" % (mark.line + 1) if mark else ""), "correct it"
    for row in documents:
        if not isinstance(row, Mapping) or not row.get("kind") or not row.get("apiVersion"):
            return "a document in it is not a Kubernetes object", "give every document apiVersion, kind and metadata"
    return None


def kubelet_field(value: str) -> Problem:
    """Check the name of a field of KubeletConfiguration. A name that resembles none may be newer than this table."""
    near = difflib.get_close_matches(value, FIELDS, n=1)
    return (
        ('KubeletConfiguration has no field "%s"' % value, "did you mean %s?" % near[0])
        if value not in FIELDS and near
        else None
    )


def _address(value: str) -> bool:
    try:
        ipaddress.ip_address(value)
    except ValueError:
        return False
    return True


# Inputs that have no meaning when they are empty.
NOT_EMPTY = ("kube_cluster_name", "kube_cluster_domain", "kube_workers_at_once", "local_name")
# By path: [] stands for each element of a list, {} for each value of a map, {key} for each key of it.
FORMATS: dict[str, Check] = {
    "kube_version": version,
    "kube_cluster_name": cluster_name,
    "kube_cluster_domain": subdomain,
    "kube_api_endpoint.address": host,
    "kube_api_endpoint.port": port,
    "kube_api_endpoint.virtual_router_id": number(1, 255),
    "kube_api_port": port,
    "kube_api_sans[]": wildcard_host,
    "kube_pod_cidrs[]": cidr,
    "kube_service_cidrs[]": cidr,
    "kube_node_name": subdomain,
    "kube_node_ip": node_ip,
    "kube_node_labels{key}": label_key,
    "kube_node_labels{}": label_value,
    "kube_node_taints[]": taint,
    "kube_artifacts.source": source,
    "kube_artifacts.versions{}": component_version,
    "kube_artifacts.checksums{}": digest,
    "kube_http_proxy.http": url("http", "https"),
    "kube_http_proxy.https": url("http", "https"),
    "kube_http_proxy.no_proxy[]": exception,
    "kube_data_dir": absolute,
    "kube_reserved{}": amount,
    "kubelet_config{key}": kubelet_field,
    "kube_manifests[].name": subdomain,
    "kube_manifests[].content": manifest,
    "kube_workers_at_once": at_once,
    "kube_clock_tolerance": number(0.5, 3600),
    "kubeadm_timeout": number(0, 86400),
    "k3s_install_script.checksum": digest,
    "k3s_install_script.url": url("http", "https"),
    "k3s_binary": absolute,
    "k3s_helm_charts[].name": label,
    "k3s_helm_charts[].repo": url("http", "https"),
    "k3s_helm_charts[].namespace": label,
    "k3s_helm_charts[].timeout": duration,
    "k3s_helm_charts[].backoff_limit": number(0, 10000),
    "k3s_helm_configs[].name": label,
    "k3s_server_url": url("https"),
    "k3s_timeout": number(0, 86400),
    # Of the playbooks' own options.
    "verify_timeout": number(1, 86400),
    "verify_certificate_days": number(0, 3650),
    "local_name": label,
    "local_control_planes": number(1, 99),
    "local_workers": number(0, 189),
    "local_cpus": number(0.1, 1024),
    "local_timeout": number(1, 86400),
}


def problems(name: str, value: Any) -> list[Finding]:
    """Return what is wrong with the form of one input's value."""
    found = []
    for path, check in FORMATS.items():
        if path != name and not path.startswith((name + ".", name + "[", name + "{")):
            continue
        for where, item in _items(name, value, path[len(name) :]):
            if item is None or item == "" and name not in NOT_EMPTY:
                continue
            wrong = check(item) if item != "" else ("it is empty", "set it, or leave it out for the default")
            if wrong:
                found.append(Finding("inputs.format", "%s: %s; %s" % (where, *wrong), value=where))
    return found


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
        for number_, item in enumerate(value or []):
            yield from _items("%s[%d]" % (where, number_), item, rest[2:])
    else:
        key, more = re.match(r"\.(\w+)(.*)", rest).groups()  # type: ignore[union-attr]
        yield from _items("%s.%s" % (where, key), (value or {}).get(key) if isinstance(value, Mapping) else None, more)
