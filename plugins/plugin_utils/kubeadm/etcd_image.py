# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which etcd a kubeadm cluster runs: kubeadm's own, or one from which the next release of etcd can be reached."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..base import versions
from ..base.distribution import Cluster, Inputs
from ..base.reference import ETCD_FLOORS
from . import datastore

Version = tuple[int, int, int]


def parsed(text: str) -> Version:
    """Return (3, 6, 11) of an image's tag (3.6.11-0) or of a version. Raise ValueError for another form."""
    major, minor, patch = versions.parse(text)
    return major, minor, patch or 0


def wanted(version: str) -> str:
    """Return the tag that a new cluster of a Kubernetes version needs, empty if kubeadm's own will do."""
    own = parsed(versions.images_of(version)["etcd"])
    for (major, minor), floor in ETCD_FLOORS.items():
        least = parsed(floor["version"])
        if own[:2] == least[:2] and own < least and (major, minor) > own[:2]:
            return floor["image"]
    return ""


def chosen(version: str, shared: Inputs, stored: Mapping[str, Any]) -> str:
    """Return the tag to write into the configuration, empty for kubeadm's own.

    stored: the running cluster's ClusterConfiguration, empty for a new cluster. The inputs win. A running cluster keeps
    its etcd until it is upgraded to another release of Kubernetes, and it never gets an older one.
    """
    if datastore.is_external(shared):
        return ""
    given = in_configuration(shared["kubeadm_cluster_config"])
    kept = in_configuration(stored)
    if given or stored and versions.minor(str(stored.get("kubernetesVersion") or version)) == versions.minor(version):
        return given or kept
    new = wanted(version)
    at_least = parsed(new or versions.images_of(version)["etcd"])
    try:
        return kept if kept and parsed(kept) > at_least else new
    except ValueError:
        return kept


def in_configuration(document: Mapping[str, Any]) -> str:
    """Return the tag in a ClusterConfiguration or in kubeadm_cluster_config, empty if it has none."""
    etcd = document.get("etcd")
    local = etcd.get("local") if isinstance(etcd, Mapping) else None
    return str((local.get("imageTag") if isinstance(local, Mapping) else "") or "")


def tag(cluster: Cluster) -> str:
    """Return the tag of the image that the cluster's etcd has: yours, the collection's or kubeadm's."""
    return cluster.get("etcd_tag") or versions.images_of(cluster["version"])["etcd"]


def unreachable(before: Version, after: Version) -> dict[str, str] | None:
    """Return the rule that stays broken on the way between two versions, None if the image of a rule is enough."""
    rule = problem(before, after)
    if rule is None or not rule["image"]:
        return rule
    return problem(before, parsed(rule["image"]))


def problem(before: Version, after: Version) -> dict[str, str] | None:
    """Return the rule of ETCD_FLOORS that a step between two versions breaks, None if it breaks none."""
    rule = ETCD_FLOORS.get(after[:2])
    return rule if rule and before[:2] < after[:2] and before < parsed(rule["version"]) else None
