# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What speaks against an upgrade, all at once and before anything is changed. Pure functions of facts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ...module_utils.api.etcd import etcdctl_id, of_one_name
from ..base import quantity, versions
from ..base.findings import Finding
from ..base.reference import SKEW_PAGE
from ..inputs import feature_gates
from ..kubeadm import etcd_image
from ..plan import distributions
from . import quorum, upgrade_rules as rules
from .upgrade_path import State


def target_of(plan: Mapping[str, Any]) -> str:
    """Return what the cluster will have: K3s's release, such as 1.37.2+k3s1, or the version."""
    return str(plan.get("release") or plan["version"]).lstrip("v")


@dataclass(frozen=True)
class Case:
    """What a check looks at.

    plan: of the cluster at the target version. infos: facts by host. state: how far the cluster is. answer: what a
    control plane said when it was asked. inputs: by host. drained: hosts whose pods will be evicted. force: pods may be
    lost.
    """

    plan: Mapping[str, Any]
    infos: Mapping[str, Mapping[str, Any]]
    state: State
    answer: Mapping[str, Any]
    inputs: Mapping[str, Mapping[str, Any]]
    drained: Sequence[str]
    force: bool

    @property
    def target(self) -> str:
        """Return the version that the cluster will have, of K3s its release."""
        return target_of(self.plan)


def downgrade(case: Case) -> list[Finding]:
    """Refuse an older version than any part of the cluster has."""
    parts = {"the API server of %s" % plane.host: plane.version for plane in case.state.planes}
    parts.update({"the kubelet of %s" % host: version for host, version in case.state.kubelets.items()})
    if case.state.stored:
        parts["kubeadm-config"] = case.state.stored
    order = versions.release_order
    newer = {part: text for part, text in parts.items() if order(text) > order(case.target)}
    if not newer:
        return []
    part, version = min(newer.items(), key=lambda item: item[0])
    text = (
        "kube_version %s is older than %s, which %s has. Kubernetes is not downgraded. Set kube_version: %s, or "
        "restore a backup of the older cluster (%s)."
    )
    newest = max(newer.values(), key=order)
    return [
        Finding("upgrade.downgrade", text % (case.target, version, part, newest, SKEW_PAGE), None, case.target, version)
    ]


def skew(case: Case) -> list[Finding]:
    """Refuse kubelets that would be too old for the new API servers before it is their turn."""
    found, wanted = [], versions.parse(case.target)[1]
    whole = distributions.by_name(case.plan["distribution"]).one_program
    for host, version in sorted(case.state.kubelets.items()):
        if whole and host in case.plan["control_planes"]:
            continue  # its kubelet is never behind
        behind = wanted - versions.parse(version)[1]
        if behind > rules.KUBELET_SKEW:
            nearest = "1.%d" % (versions.parse(version)[1] + rules.KUBELET_SKEW)
            text = (
                "%s: its kubelet has version %s, and a kubelet may be %d minor releases older than the API servers "
                "(%s). Upgrade to %s first, then to %s."
            )
            values = (host, version, rules.KUBELET_SKEW, SKEW_PAGE, nearest, case.target)
            found.append(Finding("upgrade.skew", text % values, host, version, rules.KUBELET_SKEW))
    return found


def etcd(case: Case) -> list[Finding]:
    """Refuse an etcd that is not healthy, too full, or whose members are not those of the control planes."""
    if case.answer.get("etcd_error"):
        text = "etcd does not say how it is (%s). Nothing is upgraded before it does."
        return [Finding("upgrade.etcd_silent", text % case.answer["etcd_error"], None, case.answer["etcd_error"])]
    members = case.answer.get("members") or []
    found = quorum.strangers(members, {plane.name: plane.host for plane in case.state.planes}, case.state.oldest)
    twice = of_one_name(members)
    for name, rows in sorted(twice.items()):
        text = (
            "%s: %d members of etcd have this name (%s). One is left of a former machine and counts for the majority. "
            "Remove it by its ID: etcdctl member list, etcdctl member remove ID."
        )
        places = ", ".join("%s at %s" % (etcdctl_id(row["id"]), " ".join(row["addresses"])) for row in rows)
        found.append(Finding("upgrade.etcd_twice", text % (name, len(rows), places), name, len(rows), 1))
    for member in (row for row in members if row["name"] not in twice):
        name = member["name"] or ", ".join(member["addresses"])
        if member["learner"]:
            text = "%s: its etcd member does not vote yet. Wait until it does, or remove the node."
            found.append(Finding("upgrade.etcd_learner", text % name, name))
        elif not member["serves"]:
            text = (
                "%s: its etcd member does not answer. Start it, or take it out of the cluster with "
                "kubewright.cluster.remove or replace."
            )
            found.append(Finding("upgrade.etcd_member", text % name, name))
        if member["alarms"]:
            text = "%s: its etcd member has an alarm (%s). Correct its cause, then disarm it (etcdctl alarm disarm)."
            found.append(Finding("upgrade.etcd_alarm", text % (name, member["alarms"]), name, member["alarms"]))
        quota = member.get("quota")
        if quota and member["size"] > rules.FULL * quota:
            text = "%s: etcd has %s of data, %d %% of its quota of %s. Compact and defragment it, or raise the quota."
            values = (name, quantity.human(member["size"]), 100 * member["size"] // quota, quantity.human(quota))
            found.append(Finding("upgrade.etcd_full", text % values, name, member["size"], quota))
    return found


def etcd_floor(case: Case) -> list[Finding]:
    """Refuse members that are too old for the next release of etcd, if no image brings them there on the way."""
    members = [plane.etcd for plane in case.state.planes if plane.etcd]
    try:
        last = etcd_image.parsed(case.plan.get("etcd_tag") or versions.images_of(case.target)["etcd"])
    except ValueError:
        return []  # etcd_step() refuses that
    rule = etcd_image.unreachable(min(members), last) if members else None
    if rule is None:
        return []
    text = (
        "etcd has version %s. Its members need at least %s before the next release (%s), or members that were removed "
        "come back. Set kubeadm_cluster_config.etcd.local.imageTag to an image of %s or a later patch and kube_version: "
        "%s, run upgrade, then go on to %s."
    )
    shown = ".".join(map(str, min(members)))
    values = (shown, rule["version"], rule["source"], rule["version"], case.state.oldest, case.target)
    return [Finding("upgrade.etcd_floor", text % values, None, shown, rule["version"])]


def etcd_step(case: Case) -> list[Finding]:
    """Refuse an etcd image of the user's that the running members cannot be changed to."""
    members = [plane.etcd for plane in case.state.planes if plane.etcd]
    tag = case.plan.get("etcd_tag") or ""
    given = any(etcd_image.in_configuration(row["kubeadm_cluster_config"]) == tag for row in case.inputs.values())
    if not members or not tag or not given:
        return []
    try:
        wanted = etcd_image.parsed(tag)
    except ValueError:
        text = "kubeadm_cluster_config.etcd.local.imageTag: %s names no version of etcd, so the way to it is not known."
        return [Finding("upgrade.etcd_tag", text % tag, None, tag)]
    if wanted < max(members):
        text = "kubeadm_cluster_config.etcd.local.imageTag: %s is older than the running etcd, %s. Take it out."
        shown = ".".join(map(str, max(members)))
        return [Finding("upgrade.etcd_tag", text % (tag, shown), None, tag, shown)]
    return []


def removed(case: Case) -> list[Finding]:
    """Refuse feature gates and flags that a release on the way does not know, by name."""
    found: list[Finding] = []
    text = (
        "%s: Kubernetes %s does not know %s any more, and the component would not start. Take it out, run site, then "
    )
    text += "upgrade."
    for where, gates in sorted(_gates(case).items()):
        table = (
            feature_gates.REMOVED_KUBEADM_GATES
            if where.endswith("config.featureGates")
            else feature_gates.REMOVED_GATES
        )
        for name, release in rules.removed(table, gates, case.state.oldest, case.target).items():
            values: tuple[str, ...] = (where, release, "the feature gate " + name)
            found.append(Finding("upgrade.removed_gate", text % values, None, name, release))
    for host, row in sorted(case.inputs.items()):
        for config in ("kubeadm_init_config", "kubeadm_join_config"):
            registration = row[config].get("nodeRegistration") or {}
            names = rules.argument_names({"extraArgs": registration.get("kubeletExtraArgs")})
            for name, release in rules.removed(
                rules.REMOVED_KUBELET_FLAGS, names, case.state.oldest, case.target
            ).items():
                where = "%s: %s.nodeRegistration.kubeletExtraArgs" % (host, config)
                values = (where, release, "the kubelet's flag " + name)
                found.append(Finding("upgrade.removed_flag", text % values, host, name, release))
    return list(dict.fromkeys(found + _experimental(case)))


def _gates(case: Case) -> dict[str, list[str]]:
    """Return the feature gates that are set, by where they are."""
    found: dict[str, list[str]] = {}
    for row in case.inputs.values():
        config = row["kubeadm_cluster_config"]
        for component in ("apiServer", "controllerManager", "scheduler"):
            values = rules.argument(config.get(component), "feature-gates")
            where = "kubeadm_cluster_config.%s.extraArgs" % component
            found.setdefault(where, []).extend(gate for value in values for gate in rules.gates(value))
        for where, document in (
            ("kubeadm_cluster_config.featureGates", config),
            ("kubeadm_proxy_config.featureGates of kube-proxy", row["kubeadm_proxy_config"]),
            ("kubelet_config.featureGates of the kubelet", row["kubelet_config"]),
        ):
            found.setdefault(where, []).extend(rules.gates(document.get("featureGates") or {}))
    return found


def _experimental(case: Case) -> list[Finding]:
    """Refuse flags of etcd that its next release does not know."""
    try:
        last = etcd_image.parsed(case.plan.get("etcd_tag") or versions.images_of(case.target)["etcd"])
    except ValueError:
        return []  # etcd_step() refuses that
    if last[:2] < rules.EXPERIMENTAL_UNTIL:
        return []
    names = set()
    for row in case.inputs.values():
        local = (row["kubeadm_cluster_config"].get("etcd") or {}).get("local")
        names |= {name for name in rules.argument_names(local) if name.startswith(rules.EXPERIMENTAL)}
    text = (
        "kubeadm_cluster_config.etcd.local.extraArgs: etcd %d.%d has no flag %s any more and would not start. Give the "
        "flag without the prefix, or take it out, run site, then upgrade."
    )
    return [
        Finding("upgrade.removed_flag", text % (*rules.EXPERIMENTAL_UNTIL, name), None, name, "3.7")
        for name in sorted(names)
    ]


def apis(case: Case) -> list[Finding]:
    """Refuse APIs that clients still use and that a release on the way does not serve."""
    found = []
    for row in case.answer.get("apis") or []:
        if versions.parse(row["removed"])[:2] <= versions.parse(case.target)[:2]:
            name = "%s/%s %s" % (row["group"], row["version"], row["resource"])
            text = (
                "%s: clients have used this API since %s started, and Kubernetes %s does not serve it. Find them (%s)."
            )
            page = "https://kubernetes.io/docs/reference/using-api/deprecation-guide/"
            values = (name, row["server"], row["removed"], page)
            found.append(Finding("upgrade.removed_api", text % values, None, name, row["removed"]))
    for server, why in sorted((case.answer.get("apis_unknown") or {}).items()):
        text = (
            "%s: its API server does not say which APIs clients use (GET /metrics: %s), and a release on the way may "
            "remove one of them. Correct that, then run again."
        )
        found.append(Finding("upgrade.apis_unknown", text % (server, why), server, why))
    return found


def obstacles(case: Case) -> list[Finding]:
    """Refuse nodes whose pods may not be evicted, or would be lost."""
    found = []
    for host in case.drained:
        name = case.plan["nodes"][host]["name"]
        for sentence in (case.answer.get("blocked") or {}).get(name) or []:
            text = "%s: the pod %s. Let it have more replicas, change its disruption budget, or delete the pod."
            found.append(Finding("upgrade.blocked_pod", text % (host, sentence), host, sentence))
        for sentence in () if case.force else (case.answer.get("lost") or {}).get(name) or []:
            text = "%s: the pod %s. It would be lost. Move it, or accept that with -e upgrade_force=true."
            found.append(Finding("upgrade.lost_pod", text % (host, sentence), host, sentence))
    return found


def disks(case: Case) -> list[Finding]:
    """Refuse control planes without room for a copy of etcd's data and the images."""
    sizes = [member["size"] for member in case.answer.get("members") or [] if member.get("size")]
    hops = max(len(rules.crossed(case.state.oldest, case.target)), 1)
    needs = {"/var/lib/etcd": 2 * max(sizes or [0]), "/var/lib/containerd": hops * rules.IMAGES_BYTES}
    found = []
    for plane in case.state.planes:
        known = case.infos[plane.host].get("disks") or {}
        for path, need in needs.items():
            free = (known.get(path) or {}).get("free_bytes")
            if free is not None and free < need:
                text = "%s: %s free under %s, the upgrade needs %s. Make room."
                values = (plane.host, quantity.human(free), path, quantity.human(need))
                found.append(Finding("upgrade.disk", text % values, plane.host, free, need))
    return found


def first_site(case: Case) -> list[Finding]:
    """Refuse changes that do not belong to an upgrade."""
    text = "%s. An upgrade changes nothing else: run site with kube_version: %s first, then upgrade."
    found = []
    for sentence in case.plan.get("drift") or []:
        shown = "The control plane's configuration differs from the inventory (%s)" % sentence
        found.append(Finding("upgrade.site_first", text % (shown, case.state.oldest), None, sentence))
    for host, node in sorted(case.plan["nodes"].items()):
        if not node.get("joined"):
            shown = "%s: is not in the cluster yet" % host
            found.append(Finding("upgrade.not_joined", text % (shown, case.state.oldest), host))
    return found


# Taints that a kubelet under pressure puts on its Node, and what the node runs out of:
# https://kubernetes.io/docs/concepts/scheduling-eviction/node-pressure-eviction/#node-conditions
PRESSURES = {
    "node.kubernetes.io/disk-pressure": "disk space",
    "node.kubernetes.io/memory-pressure": "memory",
    "node.kubernetes.io/pid-pressure": "process IDs",
}


def nodes(case: Case) -> list[Finding]:
    """Refuse nodes whose kubelet does not report, as nobody could say afterwards whether the upgrade broke them, and
    nodes on which pods do not start, as kubeadm's first check of an upgrade is a pod."""
    found = []
    live = _rows(case.infos, case.plan)
    for host, node in sorted(case.plan["nodes"].items()):
        row = live.get(node["name"])
        if row and not row["ready"]:
            text = "%s: its node is not Ready. Start it, or take it out of the cluster with kubewright.cluster.remove."
            found.append(Finding("upgrade.not_ready", text % host, host))
        taints = {taint.get("key") for taint in (row or {}).get("taints") or []}
        short = [what for key, what in PRESSURES.items() if key in taints]
        if short:
            text = (
                "%s: its kubelet reports that the node runs out of %s, so pods are evicted and none starts there. Free "
                "some (`kubectl describe node %s` says more), and run again when it has recovered, after five minutes."
            )
            values = (host, " and ".join(short), node["name"])
            found.append(Finding("upgrade.pressure", text % values, host, short))
    return found


def _rows(infos: Mapping[str, Mapping[str, Any]], plan: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    """Return the Nodes by name, as the asked control plane has them."""
    live = (((infos.get(plan["leader"]) or {}).get("cluster") or {}).get("live")) or {}
    return {row["name"]: row for row in live.get("nodes") or []}


def plans(case: Case) -> list[Finding]:
    """Refuse while another program upgrades K3s: it would change nodes at the same time, or back."""
    found = [row for row in case.answer.get("plans") or [] if rules.UPGRADE_IMAGE in row["image"]]
    if not found:
        return []
    shown = ", ".join("%s to %s" % (row["name"], row["to"]) if row["to"] else row["name"] for row in found)
    text = (
        "The system-upgrade-controller upgrades this cluster too (Plans %s). Delete these Plans, or let it upgrade the "
        "cluster and set kube_version to its version afterwards (%s)."
    )
    return [Finding("upgrade.plans", text % (shown, rules.PLANS_PAGE), None, [row["name"] for row in found])]


def lock(case: Case) -> list[Finding]:
    """Refuse while another run changes the cluster."""
    return [Finding("cluster.locked", case.answer["lock"])] if case.answer.get("lock") else []


ALL = (downgrade, skew, nodes, first_site, etcd, etcd_step, etcd_floor, removed, apis, disks, obstacles, plans, lock)


def warnings(case: Case) -> list[Finding]:
    """Return what the user should know before it starts."""
    text = (
        "%s: is the only control plane, so the API does not answer while it is changed, up to two minutes a release. "
        "Pods keep running. With three control planes it goes on answering."
    )
    single = [Finding("upgrade.single_control_plane", text % host, host, 1, 3) for host in only_control_plane(case)]
    return single + single_pods(case)


def only_control_plane(case: Case) -> list[str]:
    """Return the host of the control plane if the cluster has one only, else nothing."""
    hosts = [plane.host for plane in case.state.planes]
    return hosts if len(hosts) == 1 else []


def single_pods(case: Case) -> list[Finding]:
    """Name the pods that do not serve while they move to another node, and the webhooks that need one of them."""
    found = []
    for host in case.drained:
        name = case.plan["nodes"][host]["name"]
        alone = (case.answer.get("alone") or {}).get(name) or []
        if alone:
            text = "%s: %s has one replica only and does not serve while it moves to another node."
            found.append(Finding("upgrade.single_replica", text % (host, _some(alone)), host, alone))
        hooks = (case.answer.get("hooks") or {}).get(name) or []
        if hooks:
            text = (
                "%s: a webhook without which the API refuses changes is served by one pod only: %s. Until it runs on "
                "another node, the API refuses what the webhook checks. With two replicas it goes on."
            )
            found.append(Finding("upgrade.single_webhook", text % (host, _some(hooks)), host, hooks))
    return found


def _some(rows: Sequence[str]) -> str:
    """Return the first rows, and how many more there are."""
    return ", ".join(rows[:5]) + (" and %d more" % (len(rows) - 5) if len(rows) > 5 else "")
