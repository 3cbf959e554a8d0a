# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""May etcd lose these members, and are they those of the control planes? Pure functions of the member list.

https://etcd.io/docs/v3.6/faq/#what-is-failure-tolerance; the rule is that of Cluster API's remediation
(controlplane/kubeadm/internal/controllers/remediation.go): the worst case counts.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..base.findings import Finding, Problems


@dataclass(frozen=True)
class Count:
    """Members that vote. serving: those of them that answer."""

    voters: int
    serving: int

    @property
    def needed(self) -> int:
        """Return how many have to answer."""
        return self.voters // 2 + 1

    @property
    def spare(self) -> int:
        """Return how many more may fail."""
        return self.serving - self.needed

    def as_dict(self) -> dict[str, int]:
        """Return it as plain data."""
        return {"voters": self.voters, "serving": self.serving, "needed": self.needed, "spare": max(self.spare, 0)}

    def __str__(self) -> str:
        spare = "the next loss stops the cluster" if self.spare < 1 else "%d more may fail" % self.spare
        return "%d of %d members answer, %s" % (self.serving, self.voters, spare)


@dataclass(frozen=True)
class Quorum:
    """etcd before and after. learners: names of members that stay and do not vote yet. going: how many members go."""

    before: Count
    after: Count
    learners: tuple[str, ...]
    going: int

    @classmethod
    def of(cls, members: Sequence[Mapping[str, Any]], going: Collection[str]) -> Quorum:
        """Return the numbers for a member list. members: [{id, name, learner, serves}]. going: IDs."""
        voters = [member for member in members if not member["learner"]]
        staying = [member for member in voters if member["id"] not in going]
        learners = [member for member in members if member["learner"] and member["id"] not in going]
        return cls(
            _count(voters),
            _count(staying),
            tuple(member["name"] or ", ".join(member["addresses"]) for member in learners),
            len([member for member in members if member["id"] in going]),
        )

    def as_dict(self) -> dict[str, Any]:
        """Return it as plain data."""
        return {"before": self.before.as_dict(), "after": self.after.as_dict(), "going": self.going}

    def problems(self, shown: Sequence[str]) -> Problems:
        """Return why the members may not be removed, and what the user should know. shown: the nodes that go."""
        if not self.going:
            return Problems([], [])
        refusals, warnings, what = [], [], ", ".join(shown)
        if self.before.spare < 0:
            text = (
                "etcd has no majority: %d of %d members answer, %d are needed. Start control planes that are down; if "
                "they are lost, restore the cluster."
            )
            values = (self.before.serving, self.before.voters, self.before.needed)
            refusals.append(Finding("remove.no_quorum", text % values, None, self.before.serving, self.before.needed))
        elif self.after.voters and self.after.spare < 0:
            text = (
                "Without %s %d of %d etcd members would answer, and %d are needed: the cluster would stop. Start the "
                "others first, or remove those that are down first."
            )
            more = (what, self.after.serving, self.after.voters, self.after.needed)
            refusals.append(Finding("remove.quorum", text % more, None, self.after.serving, self.after.needed))
        elif self.after.voters and self.after.spare == 0:
            text = (
                "Without %s etcd has %d members and survives the loss of none (now: %s). Add a control plane before "
                "another one can fail."
            )
            warnings.append(Finding("remove.no_spare", text % (what, self.after.voters, self.before), None, 0, 1))
        elif self.after.voters % 2 == 0:
            text = "Without %s etcd has %d members and survives the loss of %d, no more than %d would."
            counted = (what, self.after.voters, self.after.spare, self.after.voters - 1)
            warnings.append(Finding("remove.even", text % counted, None, self.after.voters))
        if self.learners:
            text = "%s joins etcd right now and does not vote yet. Wait until it does, or remove it too."
            refusals.append(Finding("remove.learner", text % ", ".join(self.learners), None, ", ".join(self.learners)))
        return Problems(refusals, warnings)


def strangers(members: Sequence[Mapping[str, Any]], hosts: Mapping[str, str], version: str) -> list[Finding]:
    """Refuse an upgrade while the member list differs from the control planes: removed members may come back.

    hosts: by the control planes' names. version: that the cluster has.
    https://etcd.io/blog/2025/zombie_members_upgrade/
    """
    named = {member["name"] for member in members}
    found = []
    for name in sorted(named):
        if name and name not in hosts:
            text = (
                "etcd has the member %s, and no control plane of the inventory has this name. If its machine is gone, "
                "remove it (kubewright.cluster.remove -e remove_nodes=%s). If it runs, put it into the inventory."
            )
            found.append(Finding("upgrade.etcd_stranger", text % (name, name), None, name))
    for name, host in sorted(hosts.items()) if members else ():
        if name not in named:
            text = "%s: has no member of etcd. Run site with kube_version: %s, which adds it, then upgrade."
            found.append(Finding("upgrade.etcd_missing", text % (host, version), host))
    return found


def _count(voters: Sequence[Mapping[str, Any]]) -> Count:
    return Count(len(voters), len([member for member in voters if member["serves"]]))
