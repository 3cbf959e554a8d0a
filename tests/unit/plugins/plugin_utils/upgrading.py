# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A running cluster that will be upgraded, for the tests of both distributions."""

from __future__ import annotations

import copy

from ansible_collections.kubewright.cluster.plugins.plugin_utils.inputs import schema
from ansible_collections.kubewright.cluster.plugins.plugin_utils.operations import upgrade
from ansible_collections.kubewright.cluster.plugins.plugin_utils.plan import planner
from ansible_collections.kubewright.cluster.tests.unit.plugins.plugin_utils.clusters import running, with_inputs

GIB = 1 << 30


class Upgraded:
    """A cluster with control planes and a worker, whose inventory asks for 1.37.2, and what the API says of it.

    inputs: of the running cluster. wanted: inputs that change. etcd: version of the members, None for no members.
    """

    def __init__(self, inputs, control_planes, etcd, **wanted):
        self.hosts, self.groups = running(inputs, control_planes)
        self.hosts = copy.deepcopy(with_inputs(self.hosts, **{"kube_version": "1.37.2", **wanted}))
        names = sorted(host for host in self.hosts if host.startswith("cp"))
        self.members = [
            {
                "id": name, "name": name, "learner": False, "serves": True, "version": etcd, "size": 100 << 20,
                "quota": 2 * GIB, "alarms": "", "leads": name == names[0], "addresses": ["10.0.0.1"],
            }
            for name in (names if etcd is not None else [])
        ]  # fmt: skip
        self.answer = {"members": self.members, "etcd_error": "", "blocked": {}, "lost": {}, "alone": {}, "apis": []}
        self.options = {"force": False, "refusals": [], "backup_plan": None}

    def live(self, host):
        return self.hosts[host]["info"]["cluster"]["live"]

    def rows(self):
        """Return the Nodes as every control plane has them."""
        return [row for host in self.groups["kube_control_plane"] for row in self.live(host)["nodes"]]

    def node(self, name):
        """Return the Node of this name as every control plane has it."""
        return [row for row in self.rows() if row["name"] == name]

    def plan(self):
        """Return the plan of the cluster at its target version."""
        return planner.cluster_plan(self.hosts, self.groups, any_version=True)

    def planned(self):
        """Return the plan of the operation."""
        plan = self.plan()
        infos = {host: row["info"] for host, row in self.hosts.items()}
        inputs = {host: schema.validate(row["inputs"])[0] for host, row in self.hosts.items()}
        early = upgrade.early(plan, infos, inputs["cp-1"]["kube_version"]) if not plan["refusals"] else []
        answer = None if early else {**self.answer, "lock": self.answer.get("lock", "")}
        return upgrade.plan(plan, infos, {**self.options, "refusals": early, "answer": answer, "inputs": inputs})
