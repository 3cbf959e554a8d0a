# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The operation upgrade: hops, rounds and windows, what speaks against them, and how long they take.

In rounds all control planes go from release to release. With kubeadm the kubelets stay meanwhile: a kubelet may be
three releases behind (versions.SKEW_PAGE). In its window each node gets its kubelet, and all of K3s its last release,
once.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ...module_utils.api.drain import CORDONED
from ..base import versions
from ..base.findings import Finding
from ..base.reference import KUBERNETES
from ..kubeadm import components, config_drift, etcd_image
from ..machine import backup_schedule
from ..plan import distributions, membership
from . import upgrade_checks, upgrade_path, upgrade_tasks, upgrade_whole
from .upgrade_path import Plane, State

Infos = Mapping[str, Mapping[str, Any]]
NAME = "upgrade"
# With these refusals no way can be computed.
PATHLESS = ("upgrade.downgrade", "upgrade.etcd_tag", "upgrade.etcd_floor")


def early(plan: Mapping[str, Any], infos: Infos, wanted: str) -> list[Finding]:
    """Return why the way to a version cannot be planned at all. wanted: kube_version of the inventory, may be empty."""
    if not plan.get("nodes") or not plan.get("version") or not plan.get("leader"):
        return []  # the plan's own refusals say why
    if not plan.get("exists"):
        return [Finding("upgrade.no_cluster", "No cluster runs on these hosts. Create one with site.")]
    if not wanted and not any(_components(plan, infos).values()):
        text = "kube_version is not set. Set it to the version that the cluster will have; the newest known one is %s."
        return [Finding("upgrade.no_version", text % versions.newest_known(), None, None, versions.newest_known())]
    found = [finding for host in plan["control_planes"] for finding in _down(host, infos)]
    if found:
        return found
    whole = distributions.by_name(plan["distribution"]).one_program
    if not whole and not _stored(plan, infos).get("kubernetesVersion"):
        text = (
            "%s: the ConfigMap kubeadm-config in kube-system is missing or damaged. Upload it first: "
            "`kubeadm init phase upload-config kubeadm --config FILE`"
        )
        return [Finding("upgrade.no_config", text % plan["leader"], plan["leader"])]
    oldest, first = state(plan, infos, []).oldest, next(iter(KUBERNETES))
    if versions.parse(oldest)[:2] < versions.parse(first)[:2]:
        text = "The cluster has Kubernetes %s. This playbook starts from %s; upgrade it to that by hand first."
        return [Finding("upgrade.too_old", text % (oldest, first), None, oldest, first)]
    return []


def _down(host: str, infos: Infos) -> list[Finding]:
    live = membership.live_of(infos.get(host) or {})
    if live.get("healthy"):
        return []
    text = (
        "%s: its API server does not answer (%s). Start the node, or take it out of the cluster with "
        "kubewright.cluster.remove or replace."
    )
    why = live.get("error") or "the host was not looked at"
    return [Finding("upgrade.control_plane_down", text % (host, why), host, why)]


def _stored(plan: Mapping[str, Any], infos: Infos) -> dict[str, Any]:
    return config_drift.stored(membership.live_of(infos.get(plan["leader"]) or {}))


def state(plan: Mapping[str, Any], infos: Infos, members: Sequence[Mapping[str, Any]]) -> State:
    """Return how far the cluster is. members: of etcd, as a control plane described them."""
    by_name = {member["name"]: member for member in members}
    planes = []
    for host in plan["control_planes"]:
        name = plan["nodes"][host]["name"]
        member = by_name.get(name) or {}
        version = etcd_image.parsed(member["version"]) if member.get("version") else None
        api = str(membership.live_of(infos[host]).get("version") or "").lstrip("v")
        planes.append(Plane(host, name, api, version, bool(member.get("leads"))))
    rows = {row["name"]: row for row in membership.live_of(infos[plan["leader"]]).get("nodes") or []}
    names = {node["name"]: host for host, node in plan["nodes"].items()}
    kubelets = {
        names[name]: str(row["kubelet_version"]).lstrip("v")
        for name, row in rows.items()
        if name in names and row.get("kubelet_version")
    }
    stored = _stored(plan, infos)
    text = str(stored.get("kubernetesVersion") or "").lstrip("v")
    return State(planes, text, etcd_image.in_configuration(stored), kubelets)


def _components(plan: Mapping[str, Any], infos: Infos) -> dict[str, dict[str, tuple[str, str]]]:
    """Return by host the components that change, with the version before and after."""
    return {host: components.changes(node.get("programs") or [], infos[host]) for host, node in plan["nodes"].items()}


def changing(plan: Mapping[str, Any], infos: Infos, found: State) -> dict[str, bool]:
    """Return the hosts whose kubelet, or anything else on the node, changes; True if their pods are evicted first.

    A node whose pods a run evicted that did not end is drained again: what it had done is not known.
    """
    target, order = upgrade_checks.target_of(plan), versions.release_order
    replaced = _components(plan, infos)
    interrupted, result = _interrupted(plan, infos), {}
    for host, node in plan["nodes"].items():
        kubelet = found.kubelets.get(host) or target
        if host in interrupted or order(kubelet) != order(target) or _touched(node):
            drains = host in interrupted or versions.minor(kubelet) != versions.minor(target)
            result[host] = drains or bool(set(replaced[host]) & set(components.UNDER_PODS))
    return result


def _touched(node: Mapping[str, Any]) -> bool:
    """Return True if something changes that runs on a node; its scheduled backups run beside it."""
    return bool(set(node.get("steps") or {}) - {backup_schedule.PART})


def _interrupted(plan: Mapping[str, Any], infos: Infos) -> list[str]:
    """Return the hosts that a killed run left cordoned."""
    rows = {row["name"]: row for row in membership.live_of(infos[plan["leader"]]).get("nodes") or []}
    return [
        host
        for host, node in plan["nodes"].items()
        if (rows.get(node["name"], {}).get("annotations") or {}).get(CORDONED) == NAME
    ]


def plan(plan: Mapping[str, Any], infos: Infos, options: Mapping[str, Any]) -> dict[str, Any]:
    """Return the operation for the plan of the cluster at its target version.

    options: of the playbook, and `answer` (what a control plane said when it was asked, None if it was not), `refusals`
    (found before that), `inputs` by host, and `backup_plan`, the operation backup that comes first; None for none.
    """
    result: dict[str, Any] = {
        **dict.fromkeys(("hops", "rounds", "windows", "workers", "drained", "kubelets"), []),
        **dict.fromkeys(("documents", "images", "components"), {}),
        "etcd": None,
        "upload": False,
        "backup": None,
        "seconds": 0,
        "tasks": [],
        "refusals": list(options["refusals"]),
        "warnings": [],
    }
    if result["refusals"] or options["answer"] is None:
        return result
    found = state(plan, infos, options["answer"].get("members") or [])
    changes = changing(plan, infos, found)
    drained = sorted(host for host, drains in changes.items() if drains)
    case = upgrade_checks.Case(plan, infos, found, options["answer"], options["inputs"], drained, options["force"])
    distribution = distributions.by_name(plan["distribution"])
    known = upgrade_whole.ALL if distribution.one_program else upgrade_checks.ALL
    result["refusals"] = [finding for check in known for finding in check(case)]
    if any(finding.id in PATHLESS for finding in result["refusals"]):
        return result
    result.update(
        windows=_windows(found, changes),
        workers=[host for host in plan["workers"] if host in changes],
        drained=drained,
    )
    (_whole if distribution.one_program else _in_parts)(case, result, options.get("backup_plan"))
    if result["tasks"][1:] and options.get("no_backup"):
        text = "%s So the cluster is not backed up before it is upgraded."
        result["warnings"].append(Finding("upgrade.no_backup", text % options["no_backup"]))
    return result


def _whole(case: upgrade_checks.Case, result: dict[str, Any], backup: Mapping[str, Any] | None) -> None:
    """Complete the operation where a control plane goes through each release as a whole."""
    plan, distribution = case.plan, distributions.by_name(case.plan["distribution"])
    way = upgrade_whole.hops(case.state, case.target, distribution)
    result.update(hops=way, rounds=upgrade_whole.rounds(case.state, way))
    result["images"] = {"control_plane": [], "worker": []}  # K3s pulls its own, or has their archive
    works = bool(result["rounds"] or result["windows"] or result["workers"])
    result["backup"] = backup if works else None
    result["warnings"] = upgrade_whole.warnings(case) if works else []
    result["seconds"] = upgrade_whole.seconds(result, upgrade_tasks.batches(plan, len(result["workers"])))
    result["tasks"] = upgrade_whole.lines(plan, case.state, result)


def _in_parts(case: upgrade_checks.Case, result: dict[str, Any], backup: Mapping[str, Any] | None) -> None:
    """Complete the operation where control planes go from release to release while the kubelets stay."""
    plan, found, target = case.plan, case.state, case.plan["version"]
    interrupted = _interrupted(plan, case.infos)
    changed = [row["host"] for row in result["windows"]] + result["workers"]
    path = upgrade_path.find(found, target, plan.get("etcd_tag") or versions.images_of(target)["etcd"])
    result.update(
        hops=path.hops,
        rounds=upgrade_path.rows(path),
        components={host: row for host, row in _components(plan, case.infos).items() if row},
        kubelets=[host for host in changed if host in interrupted or found.kubelets.get(host) != target],
        etcd={"carried": path.carried, "last": path.last, "stored": found.stored_tag},
        documents=path.documents,
        upload=_uploads(plan, found, path),
        images={role: upgrade_path.images(path, target, role) for role in ("control_plane", "worker")},
    )
    works = bool(path.rounds or result["windows"] or result["workers"] or result["upload"])
    result["backup"] = backup if works else None
    result["warnings"] = upgrade_checks.warnings(case) if works else []
    result["seconds"] = upgrade_tasks.seconds(plan, result)
    result["tasks"] = upgrade_tasks.lines(plan, found, result)


def _windows(found: State, changes: Mapping[str, bool]) -> list[dict[str, Any]]:
    """Return the control planes whose kubelet changes, in order, with the host that takes them out of service."""
    rows = []
    for plane in found.order:
        if plane.host in changes:
            others = [other.host for other in found.order if other.host != plane.host]
            asked = others[0] if others else plane.host
            rows.append({"host": plane.host, "name": plane.name, "asked": asked})
    return rows


def _uploads(plan: Mapping[str, Any], found: State, path: upgrade_path.Path) -> bool:
    """Return True if the configuration in the cluster will not be as site writes it."""
    wanted = (plan["version"], plan.get("etcd_tag") or "")
    return bool(path.rounds) or (found.stored, found.stored_tag) != wanted
