# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The components beside Kubernetes (containerd, runc, CNI plugins, crictl): which version a node gets, and why.

A running node keeps what it has, whatever the inventory or a new release of the collection says. The operation upgrade
changes it, while the node is out of service.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from ..base.distribution import Cluster, Node, Nodes
from ..base.findings import Finding
from ..base.reference import COMPONENTS
from . import artifacts

# Pods of the node run through these, so they are evicted before one of them is replaced.
UNDER_PODS = ("containerd", "runc", "cni")
TITLES = {"cni": "the CNI plugins"}


def chosen(node: Node, cluster: Cluster) -> dict[str, str]:
    """Return the version of each component that a node will have."""
    given = _given(node)
    there = installed(node["info"]) if is_member(node["info"]) else {}
    common = cluster.get("components") or {}
    result = {}
    for name, default in COMPONENTS.items():
        if name not in there:
            result[name] = given.get(name) or common.get(name) or default
        elif cluster.get("upgrades"):
            result[name] = given.get(name) or max(default, there[name], key=order)
        else:
            result[name] = there[name]
    return result


def installed(info: Mapping[str, Any]) -> dict[str, str]:
    """Return the version of each component that the collection has installed on a machine."""
    found: dict[str, str] = {}
    for record in (info.get("artifacts") or {}).values():
        name = artifacts.component_of(str(record.get("source") or ""))
        version = str(record.get("version") or "").lstrip("v")
        if name and version:
            found[name] = max(found.get(name, version), version, key=order)
    return found


def is_member(info: Mapping[str, Any]) -> bool:
    """Return True if a machine runs a node, or a part of one, whose components stay."""
    cluster = info.get("cluster") or {}
    return bool(cluster.get("kubelet_conf") or cluster.get("etcd_data") or cluster.get("manifests"))


def common(nodes: Nodes) -> dict[str, str]:
    """Return the version of each component that most of the running nodes have; of those equally common the newest.

    A new node gets it, so that it is like the others, and so that a mirror for them has it.
    """
    known = [installed(node["info"]) for node in nodes.values() if is_member(node["info"])]
    result = {}
    for name in COMPONENTS:
        count = Counter(there[name] for there in known if name in there)
        if count:
            result[name] = max(count, key=lambda version: (count[version], order(version)))
    return result


def changes(programs: Iterable[Mapping[str, Any]], info: Mapping[str, Any]) -> dict[str, tuple[str, str]]:
    """Return {component: (installed version, version that the node will have)} of those that differ.

    programs: of the node's plan.
    """
    there = installed(info)
    wanted = {item["component"]: item["version"] for item in programs if item["component"] in COMPONENTS}
    return {name: (there[name], to) for name, to in wanted.items() if name in there and there[name] != to}


def kept(nodes: Nodes) -> list[Finding]:
    """Return what the inventory, or this release of the collection, asks for and running nodes do not have."""
    asked: dict[tuple[str, str, str], list[str]] = {}
    offered: dict[tuple[str, str, str], list[str]] = {}
    for host, node in sorted(nodes.items()):
        given = _given(node)
        for name, version in (installed(node["info"]) if is_member(node["info"]) else {}).items():
            wanted = given.get(name)
            if wanted and wanted != version:
                asked.setdefault((name, version, wanted), []).append(host)
            elif not wanted and order(COMPONENTS[name]) > order(version):
                offered.setdefault((name, version, COMPONENTS[name]), []).append(host)
    text = "%s: %s %s installed, kube_artifacts.versions asks for %s. Running nodes keep what they have until you run "
    text += "kubewright.cluster.upgrade, which changes it one node after another while the node is out of service."
    found = [Finding("component.kept", text % _words(row, at), _node(at), *row[1:]) for row, at in asked.items()]
    text = "%s: %s %s installed, this release of the collection comes with %s. kubewright.cluster.upgrade installs it. "
    text += "To stay with what is installed, set it in kube_artifacts.versions."
    found += [Finding("component.newer", text % _words(row, at), _node(at), *row[1:]) for row, at in offered.items()]
    return found


def _node(hosts: list[str]) -> str | None:
    return hosts[0] if len(hosts) == 1 else None


def _words(row: tuple[str, str, str], hosts: list[str]) -> tuple[str, str, str, str]:
    component, version, wanted = row
    is_installed = "%s are" if component in TITLES else "%s is"
    return ", ".join(hosts), TITLES.get(component, component), is_installed % version, wanted


def _given(node: Node) -> dict[str, str]:
    """Return the versions that the inventory asks for, without a leading v."""
    versions = node["inputs"]["kube_artifacts"]["versions"]
    return {name: str(version).lstrip("v") for name, version in versions.items() if version}


def order(version: str) -> tuple[Any, ...]:
    """Return what versions are ordered by: a pre-release (2.3.0-rc.1) comes before its release."""
    release, _dash, pre = version.partition("+")[0].partition("-")
    return tuple(int(number) for number in re.findall("[0-9]+", release)), not pre, pre
