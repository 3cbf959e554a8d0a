# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The distributions: the one place that picks one by its name."""

from __future__ import annotations

from ..base.distribution import Distribution, Inputs
from ..k3s.distribution import K3s
from ..kubeadm.distribution import Kubeadm

# In the order of preference.
ALL: tuple[Distribution, ...] = (Kubeadm(), K3s())
_BY_NAME = {distribution.name: distribution for distribution in ALL}


def by_name(name: str) -> Distribution:
    """Return a distribution. Raise KeyError if there is none of this name."""
    return _BY_NAME[name]


def is_known(name: str | None) -> bool:
    """Return True if there is a distribution of this name."""
    return name in _BY_NAME


def other(name: str) -> Distribution:
    """Return the alternative to a distribution."""
    return next(distribution for distribution in ALL if distribution.name != name)


def joining_elsewhere(inputs: Inputs) -> Distribution | None:
    """Return the distribution of the cluster elsewhere that a node's inputs say it joins, None where they name none."""
    return next((distribution for distribution in ALL if distribution.joins_elsewhere(inputs)), None)
