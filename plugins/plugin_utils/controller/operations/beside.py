# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The operations that change nothing of the cluster's plan: backup and rotate."""

from __future__ import annotations

from typing import Any

from ...base.findings import as_dicts
from ...operations import operations
from .. import destinations
from ..run_store import RunStore
from . import operation, rotation
from .operation import Hosts, Run


class Operation(operation.Operation):
    """An operation that is planned beside the plan of site: its refusals and warnings take the place of site's."""

    def __init__(self, run: Run) -> None:
        self.run = run
        self.options, self.problems = run.options()
        if run.name == "backup":
            self.problems += run.backups(self.options)[1]

    def keep(self, store: RunStore, plan: dict[str, Any], hosts: Hosts) -> None:
        """Plan the operation, and keep what the tasks of the playbook read."""
        name = self.run.name
        if name == "backup":
            self.problems += destinations.keep_settings(store, self.options, hosts, plan["control_planes"])
        infos = {host: row["info"] for host, row in hosts.items() if row["info"]}
        made = operations.plan(name, plan, infos, rotation.completed(name, self.options, plan, hosts, self.run))
        made["refusals"] = as_dicts(self.problems) + made["refusals"]
        made["warnings"] += as_dicts(self.options.get("warnings") or [])
        rotation.keep(store, made)
        plan.update(operation=made, refusals=made["refusals"], warnings=made["warnings"])
