# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a release of Kubernetes or etcd does not know any more, as data with its source.

A component that gets an unknown feature gate or flag does not start.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from ..base import versions

# pkg/kubelet and cmd/kubelet/app/options of the same releases: the only flag that a component lost.
REMOVED_KUBELET_FLAGS: dict[str, tuple[str, ...]] = {"1.35": ("pod-infra-container-image",)}
# etcd 3.7 removed all flags with this prefix: https://etcd.io/docs/v3.7/upgrades/upgrade_3_7/
EXPERIMENTAL = "experimental-"
EXPERIMENTAL_UNTIL = (3, 7)
# The image of the system-upgrade-controller's Plans that upgrade K3s
UPGRADE_IMAGE = "k3s-upgrade"
PLANS_PAGE = "https://docs.k3s.io/upgrades/automated"
# A kubelet may be as old as this many minor releases before the API server: versions.SKEW_PAGE
KUBELET_SKEW = 3
# Where its share of the quota is used, etcd refuses writes soon: https://etcd.io/docs/v3.6/op-guide/maintenance/
FULL = 0.8
# kubeadm copies etcd's data to /etc/kubernetes/tmp before it changes etcd; images of a release take about this much.
IMAGES_BYTES = 1 << 30


def crossed(running: str, wanted: str) -> list[str]:
    """Return the minor releases after a running version up to a wanted one: ["1.36", "1.37"]."""
    first, last = versions.parse(running)[1], versions.parse(wanted)[1]
    return ["1.%d" % number for number in range(first + 1, last + 1)]


def removed(table: Mapping[str, Iterable[str]], names: Iterable[str], running: str, wanted: str) -> dict[str, str]:
    """Return those of the names that a release between two versions removes, with that release."""
    gone = {name: release for release in crossed(running, wanted) for name in table.get(release, ())}
    return {name: gone[name] for name in names if name in gone}


def gates(value: Any) -> list[str]:
    """Return the names of feature gates: a map, or the text A=true,B=false of an argument."""
    if isinstance(value, Mapping):
        return [str(name) for name in value]
    return [part.partition("=")[0].strip() for part in str(value or "").split(",") if "=" in part]


def argument(component: Any, name: str) -> list[str]:
    """Return the values of an extra argument of a component in kubeadm's configuration; "" matches any name."""
    given = component.get("extraArgs") if isinstance(component, Mapping) else None
    if isinstance(given, Mapping):
        given = [{"name": key, "value": value} for key, value in given.items()]
    rows = [row for row in given or [] if isinstance(row, Mapping)]
    return [str(row.get("value")) for row in rows if row.get("name") == name]


def argument_names(component: Any) -> list[str]:
    """Return the names of the extra arguments of a component."""
    given = component.get("extraArgs") if isinstance(component, Mapping) else None
    if isinstance(given, Mapping):
        return [str(name) for name in given]
    return [str(row.get("name")) for row in given or [] if isinstance(row, Mapping)]
