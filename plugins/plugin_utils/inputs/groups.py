# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The groups of an inventory that give hosts a role, by the names that several projects use."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ..base import words
from ..base.findings import Finding

Groups = Mapping[str, Sequence[str]]
CUTOFF = 0.8  # how alike two names must be for "did you mean"; difflib's ratio


@dataclass(frozen=True)
class Family:
    """The group names of one project.

    control_plane, worker: every name of the group. needs: a group that must exist too, because other software has
    groups of these names.
    """

    control_plane: tuple[str, ...]
    worker: tuple[str, ...]
    needs: str = ""

    def is_used(self, groups: Groups) -> bool:
        """Return True if a group of the family has hosts."""
        named = any(groups.get(name) for name in self.control_plane + self.worker)
        return named and (not self.needs or self.needs in groups)


# The first family that an inventory uses counts, and no other.
# Kubespray, and its names until 2.17: https://github.com/kubernetes-sigs/kubespray, roles/dynamic_groups
# k3s-ansible: https://github.com/k3s-io/k3s-ansible/blob/master/inventory-sample.yml
# techno-tim/k3s-ansible: https://github.com/techno-tim/k3s-ansible, inventory/sample/hosts.ini
FAMILIES = (
    Family(("kube_control_plane", "kube-master"), ("kube_node", "kube-node")),
    Family(("server",), ("agent",)),
    Family(("master",), ("node",), needs="k3s_cluster"),
)
# Groups of these projects that give no role.
# Groups of all hosts of a cluster, and groups in them whose hosts have no role here.
CLUSTERS = ("k8s_cluster", "k8s-cluster", "k3s_cluster")
# The last ones are of Kubespray's playbook for lost control planes.
_BESIDE = ("calico_rr", "calico-rr", "bastion", "broken_etcd", "broken_kube_control_plane")
OTHERS = (*CLUSTERS, *_BESIDE, "etcd", "no_floating")


def family(groups: Groups) -> Family:
    """Return the family that an inventory uses; the first one if it uses none."""
    return next((known for known in FAMILIES if known.is_used(groups)), FAMILIES[0])


def group_names(groups: Groups) -> list[str]:
    """Return the groups with a role that have hosts, control planes first."""
    used = family(groups)
    return [name for name in used.control_plane + used.worker if groups.get(name)]


def members(groups: Groups) -> tuple[list[str], list[str]]:
    """Return (hosts of the control planes' groups, hosts of the workers' groups), sorted. A host may be in both."""
    used = family(groups)
    planes, workers = ({host for name in names for host in groups.get(name) or ()} for names in used_names(used))
    return sorted(planes), sorted(workers)


def used_names(used: Family) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return (names of the control planes' group, names of the workers' group)."""
    return used.control_plane, used.worker


def roles_of(groups: Groups) -> tuple[list[str], list[str]]:
    """Return (control planes, workers) by the groups. A host in both is a control plane that takes work."""
    control_planes, workers = members(groups)
    return control_planes, [host for host in workers if host not in control_planes]


# Other words for the two groups. They count where no group gives a role, since other software has such groups too.
_WORDS = {
    "kube_control_plane": """kube_master kube_masters master masters control_plane control_planes controlplane
        controllers kube_server servers k3s_server k3s_servers k3s_master rke2_server rke2_servers k8s_master k8s_masters
        k8s_control_plane kubernetes_master kubernetes_control_plane""",
    "kube_node": """kube_worker kube_workers worker workers node nodes agents kube_agent k3s_agent k3s_agents
        k3s_node rke2_agent rke2_agents k8s_worker k8s_workers k8s_node k8s_nodes kubernetes_worker kubernetes_workers""",
}


def misspelt(groups: Groups) -> list[Finding]:
    """Refuse groups whose names resemble one with a role and whose hosts have none."""
    planes, workers = members(groups)
    known = [name for names in used_names(FAMILIES[0]) for name in names]
    found = []
    for name in sorted(groups):
        idle = sorted(host for host in groups[name] if host not in planes and host not in workers)
        meant = _meant(name.lower().replace("-", "_"), known, by_words=not planes)
        if idle and meant and name not in OTHERS and name not in known:
            text = "The group %s gives no role, and %s %s in no other; did you mean %s?"
            values = (name, words.together(idle), "is" if len(idle) == 1 else "are", meant)
            found.append(Finding("groups.misspelt", text % values, value=name, limit=meant))
    return found


def without_role(groups: Groups) -> list[Finding]:
    """Refuse hosts of the cluster whose groups give no role, while those of others do: they would be left out."""
    used, (planes, workers) = family(groups), members(groups)
    beside = {host for name in _BESIDE for host in groups.get(name) or ()}
    named = {host for finding in misspelt(groups) for host in groups[str(finding.value)]}
    found = []
    for cluster in CLUSTERS:
        idle = sorted({*(groups.get(cluster) or ())} - {*planes, *workers} - beside - named)
        if idle and planes:
            own = [name for name in sorted(groups) if name not in (*OTHERS, "all") and {*groups[name]} & {*idle}]
            text = "%s %s in the group %s and %s no role%s. Put %s into %s or %s, or take %s out of %s."
            if _is_another(groups, used, own):
                text = (
                    "%s %s in the group %s and %s no role%s. An inventory is one cluster: if these hosts are another "
                    "one, give them an inventory. Otherwise put %s into %s or %s, or take %s out of %s."
                )
            verbs, them = (("is", "has"), "it") if len(idle) == 1 else (("are", "have"), "them")
            shown = " (by %s)" % ", ".join(own) if own else ""
            role = (used.control_plane[0], used.worker[0])
            values = (words.together(idle), verbs[0], cluster, verbs[1], shown, them, *role, them, cluster)
            found.append(Finding("groups.no_role", text % values, value=", ".join(idle), limit=cluster))
    return found


def _is_another(groups: Groups, used: Family, names: Sequence[str]) -> bool:
    """Return True if groups are the control planes of another project's cluster, beside the one that counts."""
    others = [known for known in FAMILIES if known is not used and known.is_used(groups)]
    return any(name in known.control_plane for known in others for name in names)


def _meant(name: str, known: Sequence[str], by_words: bool) -> str:
    """Return the group that a name probably means, empty if none."""
    near = difflib.get_close_matches(name, known, n=1, cutoff=CUTOFF)
    if near:
        return next(names[0] for names in used_names(FAMILIES[0]) if near[0] in names)
    if not by_words:
        return ""
    return next((group for group, others in _WORDS.items() if name in others.split()), "")
