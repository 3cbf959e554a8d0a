# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The plan of one node: its desired state, what differs, and in which stages of a run it takes part."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ...module_utils.node import paths
from ..base import versions
from ..base.distribution import Cluster, Distribution, File, Inputs, Node
from ..base.findings import Finding
from ..base.model import Datastore
from ..machine import backup_schedule, capacity, kubelet
from ..network.endpoint import PASSWORD_FILE, VIRTUAL_ADDRESS
from . import cluster_objects, distributions, membership, steps as difference
from .checks import certificates
from .draft import Draft

Steps = dict[str, list[str]]
Services = dict[str, str]
# Steps of a running node that touch nothing which runs there; each is a stage.
BESIDE = ("endpoint", backup_schedule.PART)


def machine(info: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a reader of the plan wants to know about the machine."""
    system = info.get("os") or {}
    return {
        "architecture": info["architecture"]["name"],
        "cpus": info["cpus"]["count"],
        "memory_bytes": info["memory"]["usable_bytes"],
        "os": " ".join(filter(None, [system.get("id"), system.get("version_id")])) or "unknown system",
        "board": (info.get("board") or {}).get("model"),
        "gpus": sorted(row["vendor"] for row in info.get("gpus") or []),
    }


def plan(draft: Draft, host: str, cluster: Cluster, state: Mapping[str, Any]) -> None:
    """Complete a node of the draft. cluster: cluster.describe(). state: membership.find()."""
    node = draft.nodes[host]
    info, values = node["info"], node["inputs"]
    distribution = distributions.by_name(cluster["distribution"])
    member = host == cluster["leader"] or bool((info.get("cluster") or {}).get("kubelet_conf"))
    waits = state["start"] == "wait" and member
    joined = node["joined"] = state["complete"][host] or waits
    node["taints"] = cluster_objects.taints(node, cluster["has_workers"] and distribution.taints_control_planes)
    wanted = distribution.wanted(node, cluster)
    secret = distribution.secret_files(node, cluster)
    _remove_left_over(distribution, node, wanted["files"], secret)
    steps, services = difference.steps(distribution, wanted, info, joined)
    if joined and info.get("endpoint_drained") and wanted["files"].get("endpoint"):
        # A reload forgets what a run that was killed did not take back.
        text = "%s was taken out for a change, and was not returned"
        steps.setdefault("endpoint", []).append(text % ", ".join(info["endpoint_drained"]))
        services.setdefault("kube-endpoint", "reloaded")
    draft.warn(_fetched(host, values, wanted["packages"], "programs" in steps))
    _credentials(node, distribution, secret, steps, services)
    if joined and node["role"] == "control_plane" and cluster["drift"]:
        steps["control-plane"] = cluster["drift"]
    node.update(wanted)
    node["capacity"] = capacity.capacity(info, kubelet.config(info, values, versions.parse(cluster["version"])))
    node["certificate"] = certificates.next_of(info) if node["role"] == "control_plane" else None
    node.update({"steps": steps, "services": services, "data_dir": distribution.data_dir(values)})
    if host == cluster["converts"]:
        steps["datastore"] = ["SQLite becomes embedded etcd, after a backup to %s/backups" % node["data_dir"]]
    if waits:
        draft.refuse(_silent(host, node, cluster["leader"], state))
    node["object_changes"] = (
        cluster_objects.changes(node, state["live"].get("nodes") or []) if cluster["leader"] else []
    )
    draft.warn(_replaced(node))
    node["rejoins"] = _rejoins(node, distribution, cluster, state)
    node["stages"], node["action"] = _stages(host, node, cluster, state)
    if host == cluster["leader"]:
        node["stages"].append("leader")
    starts = node["action"] == distribution.first_action or host == cluster["leader"] or "control-plane" in steps
    documents = distribution.documents(node, cluster) if starts else None
    if documents:
        node["kubeadm"] = documents


def _fetched(host: str, values: Inputs, packages: Sequence[str], programs: bool) -> list[Finding]:
    """Warn of packages in an air gap, and of programs from a mirror without encryption that has their checksums too."""
    found = []
    if packages and "air_gap" in values["kube_needs"]:
        text = (
            "%s: kube_needs has air_gap, and %s must be installed. Make sure that the node's package sources "
            "have them, or install them first."
        )
        listed = ", ".join(packages)
        found.append(Finding("air_gap.packages", text % (host, listed), host, listed))
    source = str(values["kube_artifacts"].get("source") or "")
    if programs and source.startswith("http://") and not values["kube_artifacts"].get("checksums"):
        text = (
            "kube_artifacts.source: %s is not encrypted, so both the programs and their checksums can be changed on "
            "the way. Use https://, or pin the digests in kube_artifacts.checksums."
        )
        found.append(Finding("artifacts.not_encrypted", text % source, value=source))
    return found


def _replaced(node: Node) -> list[Finding]:
    """Warn of files that are there, are not ours, and will be replaced."""
    wrong = difference.wrong_files([entry for part in node["files"].values() for entry in part], node["info"])
    foreign = sorted(path for path, why in wrong.items() if why == difference.REPLACED)
    if not foreign:
        return []
    text = (
        "%s: %s will be replaced. What is there now was not written by the collection; it is kept in %s, and reset "
        "puts it back."
    )
    shown = ", ".join(foreign)
    return [Finding("files.replaced", text % (node["host"], shown, paths.BACKUPS), node["host"], shown)]


def _silent(host: str, node: Node, leader: str, state: Mapping[str, Any]) -> list[Finding]:
    """Refuse changes of a member while the API is silent: nobody could see whether the cluster survives them.

    Its services are started, its kernel settings are those of the host, and its backups run beside it.
    """
    starts = {reason for name in node["services"] for reason in difference.reasons_to_start(name)}
    beside = ("settings", backup_schedule.PART)
    changes = {step: sorted(set(reasons) - starts) for step, reasons in node["steps"].items() if step not in beside}
    changed = "; ".join("%s: %s" % (step, ", ".join(why)) for step, why in sorted(changes.items()) if why)
    if not changed:
        return []
    text = (
        "%s: differs from the inventory (%s), and the API of the cluster does not answer (%s). A running node is not "
        "changed while nothing shows whether the cluster survives it. Start the control planes, then run again."
    )
    why = (state["errors"] or {}).get(leader) or "its control planes do not run"
    return [Finding("cluster.silent", text % (host, changed, why), host, changed)]


def _rejoins(node: Node, distribution: Distribution, cluster: Cluster, state: Mapping[str, Any]) -> bool:
    """Return True if the cluster knows, or may know, the name of a node that comes without its data."""
    # A node whose join was interrupted has its data and goes on with them.
    fresh = not ((node["info"].get("cluster") or {}).get("kubelet_conf") or membership.has_data(node["info"]))
    # A new cluster on a database that is not empty may know any of them.
    may_know = Datastore.parse(cluster["datastore"]).is_external and state["start"] == "init"
    return distribution.remembers_nodes and fresh and (may_know or node["name"] in state["known"])


def _remove_left_over(
    distribution: Distribution, node: Node, files: dict[str, list[File]], secret: Sequence[File]
) -> None:
    """Add to the files of each part those of ours that will be removed. secret: the files with secrets."""
    wanted = [entry["path"] for part in files.values() for entry in part] + [entry["path"] for entry in secret]
    for part, gone in difference.left_over(distribution, node, wanted).items():
        files[part] = [*files.get(part, []), *gone]


def _credentials(
    node: Node, distribution: Distribution, wanted: Sequence[File], steps: Steps, services: Services
) -> None:
    """Add the files with secrets that differ.

    The plan does not have them: it says only that there is something to write.
    """
    unit, own = distribution.unit(node["role"]), [entry for entry in wanted if entry["path"] == PASSWORD_FILE]
    _endpoint_password(node, own, steps, services)
    settings = [entry for entry in wanted if entry["path"] == paths.BACKUP_SETTINGS]
    for reason in map(" ".join, difference.wrong_files(settings, node["info"]).items()):
        steps.setdefault(backup_schedule.PART, []).append(reason)
    wanted = [entry for entry in wanted if entry not in own + settings]
    read = [entry["path"] for entry in wanted if not difference.read_at_use(entry["path"])]
    restarting = distribution.secrets_read_at_start(read) if node["joined"] else []
    wrong = difference.wrong_files(wanted, node["info"])
    if wrong:
        steps["credentials"] = ["%s %s" % item for item in wrong.items()]
    if set(wrong) & set(restarting):
        services.setdefault(unit, "restarted")
    elif restarting and distribution.restarts_for_older_secrets:
        # A run that was killed may have written them without the restart.
        state, why = difference.service_action(unit, wanted, {}, False, node["info"])
        if state == "restarted":
            services.setdefault(unit, state)
            steps.setdefault("credentials", []).append(why)


def _endpoint_password(node: Node, own: Sequence[File], steps: Steps, services: Services) -> None:
    """Add a change of the password of the virtual address, which belongs to the endpoint: no other service reads it."""
    wrong = difference.wrong_files(own, node["info"])
    state, why = difference.service_action(VIRTUAL_ADDRESS, own, wrong, False, node["info"])
    if own and state:
        services.setdefault(VIRTUAL_ADDRESS, state)
        reasons = steps.setdefault("endpoint", [])
        reasons.extend(text for text in [*map(" ".join, wrong.items()), why] if text not in reasons)


def _stages(host: str, node: Node, cluster: Cluster, state: Mapping[str, Any]) -> tuple[list[str], str]:
    """Return (a node's stages, what is done on it first: init, wait, pull, join, convert or nothing)."""
    distribution, leads = distributions.by_name(cluster["distribution"]), host == cluster["leader"]
    prepare = ["prepare"] if node["steps"] else []
    if host == cluster["converts"]:  # before others join
        return ["prepare", "start"], "convert"
    if not node["joined"]:
        if leads and state["start"] == "init":
            # With K3s other nodes may join as soon as the first server answers, so it is waited for later, together
            # with them.
            followed = distribution.joins_during_start and (len(cluster["members"]) > 1 or cluster["has_workers"])
            return [*prepare, "start", *(["join"] if followed else [])], "init"
        return [*prepare, "start", "join"], distribution.first_action
    if state["start"] == "wait":
        # The whole cluster is down: all nodes are started together, not one after another behind the gate.
        return ([*prepare, "start"], "wait") if leads else (prepare, "")
    if not node["steps"]:
        return [], ""
    alone = node["role"] == "control_plane" or "reboot" in node["steps"]
    if set(node["steps"]) <= set(BESIDE):
        return [stage for stage in BESIDE if stage in node["steps"]], ""
    return ["change" if alone else "roll"], ""
