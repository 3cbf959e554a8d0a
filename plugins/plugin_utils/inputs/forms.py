# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Checks of the form of a value: each takes a value and returns what is wrong with it as (problem, way out), or None.

Which input has which form is in formats.py.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable, Mapping
from typing import Any

from ..base import labels, quantity, versions
from ..base.reference import COMPONENTS, LAST_PATCH, OLDEST_CONTAINERD

Problem = tuple[str, str] | None
Check = Callable[[Any], Problem]

# RFC 1123: what Kubernetes accepts as the name of an object or a node.
LABEL = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
SUBDOMAIN = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")
DURATION = re.compile(r"([0-9]+(\.[0-9]+)?(ns|us|ms|s|m|h))+")
# Directories that are emptied at boot, hold no files, or hold other data; each with what is below it.
NOT_FOR_DATA = tuple(
    "/%s/" % name
    for name in "bin boot dev etc lib lib64 opt/cni proc run sbin snap sys tmp usr var/lib/cni var/lib/containerd "
    "var/lib/containers var/lib/docker var/lib/etcd var/lib/kubelet var/lib/kubewright var/log var/run var/tmp".split()
)
# K3s's sockets are below it, and the path of a socket has at most 107 characters: unix(7).
LONGEST_DATA_DIR = 64
SHA256 = re.compile(r"(sha256:)?[0-9a-fA-F]{64}")
# Ports that every node uses already: kubelet, its healthz, kube-proxy's two
# (kubernetes.io/docs/reference/networking/ports-and-protocols).
TAKEN = {10250: "the kubelet", 10248: "the kubelet", 10249: "kube-proxy", 10256: "kube-proxy"}
ETCD_PORTS = {2379: "etcd", 2380: "etcd", 2381: "etcd", 10257: "kube-controller-manager", 10259: "kube-scheduler"}


def number(low: float, high: float | None = None) -> Check:
    """Return a check for a number from low to high (no upper limit if None)."""

    def check(value: float) -> Problem:
        if not value >= low or high is not None and value > high:  # nan is neither
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

    def check(value: Any) -> Problem:
        good = isinstance(value, str) and len(value) <= longest and pattern.fullmatch(value)
        return None if good else ('"%s" is not %s' % (value, what), way_out)

    return check


label = text(LABEL, "a DNS label", "use lower-case letters, digits and -, at most 63 characters", 63)
duration = text(DURATION, "a duration", "write it as 90s, 30m or 2h")
digest = text(SHA256, "a SHA-256 digest", "give 64 hexadecimal digits")
cluster_name = text(
    re.compile(r"[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?"),
    "a name",
    "use letters, digits, -, _ and dots, at most 63 characters",
    63,
)
check_name = text(re.compile(r"[A-Za-z][A-Za-z0-9.-]*"), "the name of a check", "write it as NumCPU or Port-6443")
# Without a scheme, and with nothing empty between its parts: https://pkg.go.dev/github.com/distribution/reference
image = text(
    re.compile(
        r"[a-z0-9][A-Za-z0-9._-]*(:[0-9]{1,5}(?=/))?(/[a-z0-9][a-z0-9._-]*)*(:[A-Za-z0-9_][A-Za-z0-9._-]*)?"
        r"(@[a-z0-9]+:[0-9a-fA-F]+)?"
    ),
    "the name of an image",
    "write it as registry.example/name:tag, without https://",
)
interface = text(re.compile(r"[^\s/]{1,15}"), "the name of an interface", "use a name that ip link shows", 15)
container_network = text(
    re.compile(r"(?!(host|none|bridge)$)[A-Za-z0-9][A-Za-z0-9_.-]*"),
    "the name of a separate network",
    "use letters, digits, - . and _, and not host, none or bridge",
)
# Less does not start the first process of a node.
LEAST_CONTAINER_MEMORY = 64 << 20


def container_memory(value: str) -> Problem:
    """Check the memory of a container, in the units of Podman and Docker."""
    found = re.fullmatch(r"([0-9]+(?:\.[0-9]+)?)([bkmg]?)", value.lower())
    if not found:
        return '"%s" is not an amount of memory' % value, "write it as 4g or 512m"
    if float(found.group(1)) * 1024 ** "bkmg".index(found.group(2) or "b") < LEAST_CONTAINER_MEMORY:
        return '"%s" is too little memory for a node' % value, "write it with its unit, such as 4g or 512m"
    return None


def environment(value: Mapping[str, Any]) -> Problem:
    """Check environment variables: names, and values that are not lists or maps."""
    for name, item in value.items():
        if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", str(name)) or isinstance(item, (dict, list, tuple)):
            return "%s is not a variable with one value" % name, "write it as NAME: value"
    return None


def token(value: str) -> Problem:
    """Check a token or password that K3s reads from a file. The value is not shown.

    K3s takes what begins with K10 for its own form (pkg/clientaccess/token.go, parseToken).
    """
    if re.search(r"\s", value):
        return "it has blanks", "remove them"
    if value.startswith("K10") and not re.fullmatch(r"K10([0-9a-f]{64})?::[^:]*:.+", value):
        return (
            "it begins with K10 and is not a whole token of K3s",
            "copy the whole token, or begin it with something else",
        )
    return None


def cluster_domain(value: str) -> Problem:
    """Check the DNS domain of the cluster."""
    last = value.rpartition(".")[2]
    if last.isdigit() or last == "localhost":
        return '"%s" is not a domain that clients ask a DNS server for' % value, "use a name such as cluster.local"
    return subdomain(value)


at_once = text(
    re.compile(r"[1-9][0-9]*|([1-9][0-9]?|100)%"), "a number of nodes or a percentage", "write it as 2 or 20%"
)


def subdomain(value: str) -> Problem:
    """Check a DNS name; each of its parts has at most 63 characters (https://www.rfc-editor.org/rfc/rfc1123)."""
    if len(value) <= 253 and SUBDOMAIN.fullmatch(value) and all(len(part) <= 63 for part in value.split(".")):
        return None
    return '"%s" is not a DNS name' % value, "use lower-case letters, digits, - and dots, without a dot at either end"


def node_name(value: str) -> Problem:
    """Check the name of a node, which is also the value of its label kubernetes.io/hostname."""
    if len(value) > 63:
        return '"%s" has more than 63 characters' % value, "use a shorter name"
    return subdomain(value)


def absolute(value: str) -> Problem:
    """Check an absolute directory other than /."""
    if not value.startswith("/"):
        return '"%s" is not an absolute path' % value, "begin it with /"
    if not re.fullmatch(r"[A-Za-z0-9._/@:+-]+", value):
        return '"%s" has blanks or other special characters' % value, "use letters, digits and . _ - @ : + only"
    if value.rstrip("/") == "" or {".", ".."} & set(value.split("/")):
        return '"%s" cannot hold the data' % value, "use another directory, such as /data"
    return None


def data_dir(value: str) -> Problem:
    """Check a directory for images and container data: not one of the system's, of the kubelet's or of etcd's."""
    top = re.sub("/+", "/", value + "/")
    if top.endswith("/rancher/k3s/"):
        way_out = "give the directory above it, such as %s" % (top[: -len("/rancher/k3s/")] or "/data")
        return '"%s" names what K3s makes in it' % value, way_out
    if top.startswith(NOT_FOR_DATA):
        return '"%s" belongs to the system or to other programs' % value, "use another directory, such as /data"
    if len(value) > LONGEST_DATA_DIR:
        return '"%s..." has more than %d characters' % (value[:20], LONGEST_DATA_DIR), "use a shorter path"
    return absolute(value)


def hook(value: str) -> Problem:
    """Check the path of a task file on the controller."""
    good = value.startswith("/")
    return None if good else ('"%s" is not an absolute path' % value, "write it as {{ inventory_dir }}/hooks/file.yml")


def version(value: str) -> Problem:
    """Check a Kubernetes version, in full or as a minor release; K3s's revision may follow."""
    found = re.fullmatch(r"v?(0|[1-9][0-9]*)\.(0|[1-9][0-9]*)(?:\.(0|[1-9][0-9]*)(\+k3s[1-9][0-9]*)?)?", value)
    if not found:
        return '"%s" is not a version' % value, "write it as 1.36 or 1.36.3 (K3s: also v1.36.3+k3s1)"
    major, patch = int(found.group(1)), int(found.group(3) or 0)
    if major != 1 or patch > LAST_PATCH:
        return "%s is not a release of Kubernetes" % value, "write it as 1.36 or 1.36.3"
    return None


def component_version(value: Any, newest: str = COMPONENTS["containerd"]) -> Problem:
    """Check the full version of a component. newest: the one that is installed by default."""
    good = re.fullmatch(r"v?[0-9]+\.[0-9]+\.[0-9]+([-+.][0-9A-Za-z.-]+)?", str(value))
    if not good:
        return '"%s" is not a full version' % value, "write it as %s" % newest
    if versions.parse(value)[0] > versions.parse(newest)[0]:
        return '"%s" is of a release that does not exist or is not supported' % value, "use one such as %s" % newest
    return None


def version_of(name: str) -> Check:
    """Return a check for the version of a component."""
    return lambda value: component_version(value, COMPONENTS[name])


def containerd_version(value: Any) -> Problem:
    """Check that the version of containerd reads the configuration that it gets."""
    found = component_version(value)
    oldest = ".".join(map(str, OLDEST_CONTAINERD))
    if not found and versions.parse(value)[:2] < OLDEST_CONTAINERD:
        return "containerd %s does not read configuration of version 3" % value, "use %s or newer" % oldest
    return found


def component(value: str) -> Problem:
    """Check the name of a component whose version can be set."""
    return None if value in COMPONENTS else ('"%s" is unknown' % value, "use one of %s" % ", ".join(COMPONENTS))


def amount(value: Any) -> Problem:
    """Check a Kubernetes quantity that is not negative."""
    try:
        good = not re.search(r"\s", str(value)) and quantity.parse(value) >= 0
    except ValueError:
        good = False
    return None if good else ('"%s" is not a quantity' % value, "write it as 250m or 1.5")


def memory(value: Any) -> Problem:
    """Check an amount of memory: "500" is 500 bytes, and "500m" half a byte."""
    found = amount(value)
    if found:
        return found[0], "write it as 512Mi or 2Gi"
    if 0 < quantity.parse(value) < 2**20:
        return '"%s" is less than 1 MiB' % value, "write it with its unit, such as 512Mi or 2Gi"
    return None


def taint(value: str) -> Problem:
    """Check a taint: key=value:Effect or key:Effect."""
    try:
        key = labels.parse_taint(value)["key"]
    except ValueError:
        return '"%s" is not a taint' % value, "write it as key=value:NoSchedule (or PreferNoSchedule, NoExecute)"
    return ('"%s" is set and removed by the cluster' % key, "remove it") if key in labels.OWN_TAINTS else None


def taints(value: list[Any]) -> Problem:
    """Check that no two taints have the same key and effect: the API refuses such a node."""
    pairs = [re.sub(r"=[^:]*", "", str(item)) for item in value]
    double = next((pair for pair in pairs if pairs.count(pair) > 1), None)
    return ("%s is listed twice" % double, "list each key and effect once") if double else None


def own_names(value: list[Any]) -> Problem:
    """Check that no two entries of a list have the same name."""
    names = [item.get("name") for item in value if isinstance(item, Mapping)]
    twice = sorted({str(name) for name in names if name and names.count(name) > 1})
    return ("two entries have the name %s" % ", ".join(twice), "give each its own name") if twice else None


def label_value(value: Any) -> Problem:
    """Check the value of a Node's label."""
    if isinstance(value, float):
        return "%s is a number, which YAML may have shortened" % value, "put it in quotes"
    good = labels.is_value(labels.text_of(value))
    return (
        None if good else ('"%s" is not the value of a label' % value, "use at most 63 letters, digits, -, _ and dots")
    )


def label_key(value: str) -> Problem:
    """Check the key of a Node's label, and that the cluster does not set it itself."""
    if value in labels.OWN:
        return '"%s" is set by the cluster' % value, "remove it"
    if labels.is_key(value):
        return None
    return '"%s" is not the key of a label' % value, (
        "write it as name or example.com/name, the name with at most 63 characters"
    )


def plain_text(value: Any) -> Problem:
    """Check that a value is text. It is not shown: it may be secret."""
    return None if isinstance(value, str) else ("expected text, got another type", "put it in quotes")


def password(value: Any) -> Problem:
    """Check a password or token for a registry, which is sent in a header. The value is not shown."""
    found = plain_text(value)
    if not found and re.search(r"[\x00-\x1f\x7f]", value):
        return "it has a line end or another control character", "write it in one line (without | in YAML)"
    return found


def user_name(value: Any) -> Problem:
    """Check a user name for a registry: a colon separates it from the password."""
    found = password(value)
    return found or (("it has a colon", "remove it: a password goes into password") if ":" in value else None)


def flag(value: Any) -> Problem:
    """Check an argument of a program."""
    good = not isinstance(value, str) or re.fullmatch(r"--?[A-Za-z0-9]\S*", value)  # words() refuses other types
    return None if good else ('"%s" is not an argument' % value, "write it as --name=value")


def chart_version(value: str) -> Problem:
    """Check the version of a Helm chart, or a constraint such as >=1.2 <2."""
    good = re.search(r"[0-9*xX]", value)
    return None if good else ('"%s" is not the version of a chart' % value, "write it as 1.2.3")


def boolean(value: Any) -> Problem:
    """Check true or false."""
    return None if isinstance(value, bool) else ("expected true or false", "write it without quotes")


def words(value: Any) -> Problem:
    """Check a list of texts."""
    good = isinstance(value, (list, tuple)) and all(isinstance(item, str) for item in value)
    return None if good else ("expected a list of texts", "write each as a line that begins with -")


def wait(value: int) -> Problem:
    """Check a longest time in seconds; 0 is the default."""
    return number(30, 86400)(value) if value else None


def pem(value: str) -> Problem:
    """Check PEM text. The value is not shown."""
    good = "-----BEGIN " in value
    return None if good else ("it is not PEM text", "give the content of the file, not its path")


def base64_text(value: str) -> Problem:
    """Check base64."""
    try:
        base64.b64decode(re.sub(r"\s", "", value), validate=True)
    except (binascii.Error, ValueError):
        return "it is not base64", "encode the chart's archive with base64 -w0"
    return None
