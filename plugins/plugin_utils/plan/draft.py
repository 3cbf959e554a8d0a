# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A plan in the making."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ..base.distribution import Cluster, Distribution, Inputs, Node, Problems, Reason
from ..base.findings import Findings


class Draft(Findings):
    """The nodes of a plan by host, the reasons for what is chosen, and the findings."""

    def __init__(self, any_version: bool = False, upgrades: bool = False) -> None:
        super().__init__()
        # The run changes the versions of running nodes.
        self.upgrades = upgrades
        # Another version than the running cluster's is not refused.
        self.any_version = any_version
        self.nodes: dict[str, Node] = {}
        self.reasons: list[Reason] = []

    def add(self, problems: Problems) -> None:
        """Add what a check found."""
        self.refuse(problems.refusals)
        self.warn(problems.warnings)


@dataclass(frozen=True)
class Case:
    """What a check of the plan looks at.

    nodes: those whose facts are known, by host. control_planes, workers: hosts of the inventory, known or not. shared:
    the cluster's inputs. cluster: what plan/cluster.py describes. state: membership.find(). complete: True if the facts
    of all nodes are known.
    """

    nodes: Mapping[str, Node]
    control_planes: Sequence[str]
    workers: Sequence[str]
    shared: Inputs
    cluster: Cluster
    state: Mapping[str, Any]
    distribution: Distribution
    complete: bool = True
    joined: Mapping[str, bool] = field(default_factory=dict)
