# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The steps in which the action plan asks an operation, and what an operation may ask of the run."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ...base.findings import Finding
from .. import run_options
from ..run_store import RunStore

Hosts = Mapping[str, Mapping[str, Any]]
Groups = Mapping[str, Sequence[str]]
Ask = Callable[[dict[str, Any]], Mapping[str, Any]]


@dataclass(frozen=True)
class Run:
    """The run that plans an operation.

    name: of the operation. looks: of all hosts, by inventory name. variables: of the task. arguments: what was given
    with -e. template: evaluates a value. address: returns where Ansible reaches a host. execute: runs a module on the
    host that the task is for. applies: False if the run only shows the plan. directory: on the controller, deleted at
    the end of the run.
    """

    name: str
    looks: Hosts
    groups: Groups
    variables: Mapping[str, Any]
    arguments: Iterable[str]
    template: Callable[[Any], Any]
    address: Callable[[str], str]
    execute: Callable[[str, dict[str, Any]], Mapping[str, Any]]
    applies: bool
    directory: str = ""

    @property
    def part(self) -> list[str]:
        """Return the hosts that --limit leaves."""
        return list(self.variables.get("ansible_play_hosts_all") or [])

    def options(self, playbook: str = "") -> tuple[dict[str, Any], list[Finding]]:
        """Return the options of the operation's playbook or of another one, and what is wrong with them."""
        return run_options.read(playbook or self.name, self.variables, self.template)

    def backups(self, options: dict[str, Any]) -> tuple[str, list[Finding]]:
        """Complete the options that say where archives are. Return (the passphrase or "", what is wrong)."""
        return run_options.backups(options, self.variables, self.arguments)


class Operation:
    """An operation, step by step as the action plan asks it. As it is here, it is a run of site.

    left_out: hosts that the plan is not about. names: of the nodes that go. upgrades: the plan is of the version that
    the cluster will have. is_restored: the plan is of a cluster that is begun again, and what the API has is not
    compared. needs_plan: the tasks read the plan.
    """

    upgrades = False
    is_restored = False

    @property
    def needs_plan(self) -> bool:
        return True

    @property
    def left_out(self) -> Collection[str]:
        return ()

    @property
    def names(self) -> Sequence[str]:
        return ()

    def known(self, looks: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
        """Return the looks as the plan needs them."""
        return looks

    def planned(self, plan: Mapping[str, Any], hosts: Hosts) -> None:
        """Go on with the plan of the cluster. hosts: what the planner was given."""

    def into(self, plan: dict[str, Any], part: Collection[str]) -> None:
        """Put the operation into the plan. part: the hosts of this run."""

    def keep(self, store: RunStore, plan: dict[str, Any], hosts: Hosts) -> None:
        """Keep what the tasks of the playbook read."""
