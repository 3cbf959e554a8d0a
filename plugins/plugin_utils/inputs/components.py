# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Check the arguments and the feature gates of components in the inputs: with an unknown one they do not start.

Values of arguments are not shown: they may be secret.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from .component_arguments import ARGUMENTS, SHOWN
from .feature_gates import GATES, KUBEADM_GATES, NEW_GATES, REMOVED_GATES, REMOVED_KUBEADM_GATES
from .fields import Wrong

_KUBEADM = {
    "apiServer": "kube-apiserver",
    "controllerManager": "kube-controller-manager",
    "scheduler": "kube-scheduler",
    "etcd": "etcd",
}
# Keys of k3s_config whose items are arguments: https://docs.k3s.io/cli/server#customized-flags
_K3S = {
    "kubelet-arg": "kubelet",
    "kube-apiserver-arg": "kube-apiserver",
    "kube-controller-manager-arg": "kube-controller-manager",
    "kube-controller-arg": "kube-controller-manager",
    "kube-scheduler-arg": "kube-scheduler",
    "kube-proxy-arg": "kube-proxy",
    "etcd-arg": "etcd",
}
# Arguments of etcd in bytes, milliseconds or entries
_ETCD_NUMBERS = ("quota-backend-bytes", "heartbeat-interval", "election-timeout", "snapshot-count", "max-request-bytes")
# Go's strconv.ParseBool
_BOOLEANS = ("1", "t", "T", "TRUE", "true", "True", "0", "f", "F", "FALSE", "false", "False")


@dataclass(frozen=True)
class Argument:
    """An argument of a component. where: its path in the inputs. form: what is wrong with how it is written."""

    where: str
    component: str
    name: str
    value: str
    form: tuple[str, str] | None = None


def problems(name: str, value: Any, newer: bool = False) -> Iterator[Wrong]:
    """Yield what is wrong with the arguments and gates in an input. newer: True if there may be unknown ones."""
    for argument in arguments(name, value):
        wrong = argument.form or _argument(argument, newer)
        if wrong:
            yield (argument.where, *wrong)
    for where, gate in gates(name, value):
        known = KUBEADM_GATES if where == "kubeadm_cluster_config.featureGates" else GATES
        if gate not in known and not newer:
            near = next(iter(difflib.get_close_matches(gate, known, n=1)), "")
            yield where, "no feature gate is called %s" % gate, "did you mean %s?" % near if near else "remove it"


def gates_of_another_release(name: str, value: Any, minor: int) -> Iterator[tuple[str, str, str]]:
    """Yield (path, gate, why) of each gate that this minor release of Kubernetes does not know."""
    for where, gate in gates(name, value):
        removed = next((release for release, names in REMOVED_GATES.items() if gate in names), "")
        brought = next((release for release, names in NEW_GATES.items() if gate in names), "")
        if where == "kubeadm_cluster_config.featureGates":
            removed = next((release for release, names in REMOVED_KUBEADM_GATES.items() if gate in names), "")
        if removed and minor >= _minor(removed):
            yield where, gate, "which Kubernetes %s removed" % removed
        elif brought and minor < _minor(brought):
            yield where, gate, "which is newer"


def _minor(release: str) -> int:
    return int(release.partition(".")[2])


def arguments(name: str, value: Any) -> Iterator[Argument]:
    """Yield the arguments of components in an input."""
    if not isinstance(value, Mapping):
        return
    if name == "k3s_config":
        for key, given in value.items():
            component = _K3S.get(str(key).rstrip("+"))
            if component:
                yield from _of_k3s("k3s_config.%s" % key, component, given)
    elif name == "kubeadm_cluster_config":
        for key, component in _KUBEADM.items():
            part, where = value.get(key), "%s.%s" % (name, key)
            if key == "etcd":
                part, where = part.get("local") if isinstance(part, Mapping) else None, where + ".local"
            yield from _of_kubeadm(where + ".extraArgs", component, _get(part, "extraArgs"))
    elif name in ("kubeadm_init_config", "kubeadm_join_config"):
        where = name + ".nodeRegistration.kubeletExtraArgs"
        yield from _of_kubeadm(where, "kubelet", _get(value.get("nodeRegistration"), "kubeletExtraArgs"))


def _get(part: Any, key: str) -> Any:
    return part.get(key) if isinstance(part, Mapping) else None


def _of_kubeadm(where: str, component: str, given: Any) -> Iterator[Argument]:
    for number, row in enumerate(given if isinstance(given, (list, tuple)) else []):
        if not isinstance(row, Mapping):
            continue
        name, form = str(row.get("name") or ""), None
        if not name:
            form = ("it has no name", "write each as {name: v, value: '4'}")
        elif row.get("value") is None:
            form = ("%s has no value" % name, "write each as {name: v, value: '4'}")
        elif not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_-]*", name):
            form = ('"%s" is not the name of an argument' % name[:60], "write it without -- and without its value")
        yield Argument("%s[%d]" % (where, number), component, name, str(row.get("value")), form)


def _of_k3s(where: str, component: str, given: Any) -> Iterator[Argument]:
    rows = given if isinstance(given, (list, tuple)) else [given]
    for number, row in enumerate(rows):
        if isinstance(row, str):
            name, equals, value = row.strip().lstrip("-").partition("=")
            form = None
            if not equals and not re.fullmatch(r"[A-Za-z0-9_-]+", name) or re.search(r"\s", name):
                form = ("it is not an argument", "write it as name=value, without blanks around =")
            yield Argument("%s[%d]" % (where, number), component, name.rstrip("+-"), value, form)


def _argument(argument: Argument, newer: bool) -> tuple[str, str] | None:
    """Return what is wrong with the name of an argument, and with some values."""
    # Components take _ for - in names of their flags; etcd does not.
    name = argument.name if argument.component == "etcd" else argument.name.replace("_", "-")
    known = ARGUMENTS.get(argument.component)
    if known and name not in known and not newer:
        near = next(iter(difflib.get_close_matches(name, SHOWN[argument.component], n=1)), "")
        text = "%s has no argument %s" % (argument.component, argument.name)
        return text, "did you mean %s?" % near if near else "remove it"
    if name == "feature-gates":
        for pair in filter(None, argument.value.split(",")):
            gate, equals, value = pair.partition("=")
            if not equals or value.strip() not in _BOOLEANS:
                return (
                    "the feature gate %s is neither true nor false" % gate.strip(),
                    "write it as %s=true" % gate.strip(),
                )
    if argument.component == "etcd" and name in _ETCD_NUMBERS and not re.fullmatch("-?[0-9]+", argument.value):
        return "%s is not a whole number" % name, "write it in bytes or milliseconds, without a unit"
    if name == "service-node-port-range" and not _is_range(argument.value):
        return "service-node-port-range is not a range of ports", "write it as 30000-32767"
    return None


def _is_range(text: str) -> bool:
    """Return True for a range of ports: k8s.io/apimachinery, pkg/util/net/port_range.go."""
    found = re.fullmatch(r"\s*([0-9]{1,5})\s*(?:([-+])\s*([0-9]{1,5}))?\s*", text)
    if not found:
        return False
    low, sign, high = int(found.group(1)), found.group(2), int(found.group(3) or 0)
    return sign != "-" or low <= high < 65536


def gates(name: str, value: Any) -> Iterator[tuple[str, str]]:
    """Yield (path, name) of each feature gate in an input."""
    if name in ("kubelet_config", "kubeadm_cluster_config", "kubeadm_proxy_config"):
        given = _get(value, "featureGates")
        yield from ((name + ".featureGates", str(gate)) for gate in (given if isinstance(given, Mapping) else ()))
    for argument in arguments(name, value):
        if argument.name.replace("_", "-") == "feature-gates":
            yield from ((argument.where, gate) for gate in _names(argument.value.split(",")))


def _names(pairs: Iterable[str]) -> Iterator[str]:
    for pair in pairs:
        if "=" in pair:
            yield pair.partition("=")[0].strip()
