# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The operation restore: what an archive, or the data of a control plane that is left, become on these hosts, how far
an earlier run came, and why it may not be.

Pure functions of facts. The cluster is planned as if its hosts were new: whatever runs there is replaced.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import yaml

from ...module_utils.node.ownership import RESTORING
from ...module_utils.restore.aside import PLACED, STOPPED
from ..base.findings import Finding
from ..inputs import lifecycle
from ..plan import membership
from . import restore_k3s, survivors

Infos = Mapping[str, Mapping[str, Any]]
# With --bump-revision and --mark-compacted: https://etcd.io/docs/v3.6/op-guide/recovery/
ETCD_MINIMUM = (3, 6)
AUTHORITY_KEYS = ("/pki/ca.key", "/pki/front-proxy-ca.key", "/pki/etcd/ca.key", "/pki/sa.key", *restore_k3s.KEYS)
ENDPOINT = "kube_api_endpoint"


@dataclass(frozen=True)
class Progress:
    """How far a restore of one archive is, by the records of the control planes.

    first: the control plane that is restored. at: when the run began, "" for none. serving: its API
    serves the restored data. stopped: control planes that have been stopped.
    """

    first: str | None
    at: str = ""
    serving: bool = False
    stopped: tuple[str, ...] = ()


def record(info: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return what a host's record of ownership says about an unfinished restore, {} if there is none."""
    return ((((info or {}).get("owned") or {}).get("settings")) or {}).get(RESTORING) or {}


def progress(infos: Infos, planes: Sequence[str], archive: str, source: str | None = None) -> Progress:
    """Return how far the restore of an archive is. archive: its ID, "" for any. source: the control plane that has the
    data, None if they are in an archive."""
    known = {host: record(infos.get(host)) for host in planes}
    mine = {host: row for host, row in known.items() if row and archive in ("", row["archive"])}
    if not mine:
        return Progress(source if source in planes else planes[0] if planes else None)
    row = next(iter(mine.values()))
    first = row["leader"] if row["leader"] in planes else planes[0]
    healthy = bool(membership.live_of(infos.get(first) or {}).get("healthy"))
    serving = healthy and mine.get(first, {"step": PLACED})["step"] == PLACED
    stopped = tuple(host for host, each in mine.items() if each["step"] in (STOPPED, PLACED))
    return Progress(first, row["at"], serving, stopped)


def as_new(info: Mapping[str, Any], is_control_plane: bool) -> dict[str, Any]:
    """Return a host's facts without the cluster that it has: its identity and services stay, its data do not count."""
    cluster = dict(info.get("cluster") or {})
    # The ports of a member are held by its own programs.
    ports = [] if _has_something(info) else info.get("ports")
    cluster.update(live=None, ca_sha256=None)
    if is_control_plane:
        cluster.update(etcd_data=False, manifests=[], finished=False, datastore=None, admin_conf=False)
        if cluster.get("kind"):
            cluster["role"] = "control_plane"
    return {**info, "cluster": cluster, "ports": ports}


def plan(plan: Mapping[str, Any], infos: Infos, options: Mapping[str, Any]) -> dict[str, Any]:
    """Return {first, serving, stop, keep, replaced, forgotten, tasks, refusals, warnings}.

    plan: of a new cluster on these hosts. infos: their facts as they are. options: of the playbook, with `manifest`,
    `settings` (ClusterConfiguration) and `described` of the archive, its ID as `archive_id`, `now`, `must_confirm`,
    `part`, the hosts of this run, and `surveys`: with `from`, what data of etcd the control planes have.
    """
    planes = list(plan["control_planes"])
    if options["undo"]:
        return _undo(plan, infos, planes)
    result: dict[str, Any] = {"first": None, "tasks": [], "refusals": [], "warnings": []}
    if not options["manifest"]:
        if not options["archive"] and not options["from"]:
            text = (
                "No archive is named. Give one of the playbook backup: -e restore_archive=FILE. If etcd's majority is "
                "lost for good, and a control plane has its data: -e restore_from=NODE"
            )
            result["refusals"] = [Finding("restore.no_archive", text)]
        return result
    manifest, far = options["manifest"], progress(infos, planes, options["archive_id"], options["from"])
    nodes = {node["name"]: host for host, node in plan["nodes"].items()}
    known = {row["name"]: row for row in manifest["cluster"].get("nodes") or []}
    replaced = sorted(name for name, host in nodes.items() if _is_another(known.get(name), infos.get(host) or {}))
    result.update(
        first=far.first,
        at=far.at or options["now"],
        serving=far.serving,
        stop=[] if far.serving else _stop(infos, planes, far, manifest),
        keep=sorted(nodes),
        replaced=[name for name in replaced if nodes[name] != far.first],
        forgotten=sorted(set(known) - set(nodes)),
    )
    result["refusals"] = [
        *_not_confirmed(manifest, options),
        *_unfit(plan, manifest, options["settings"]),
        *_endpoint_kept(plan, infos, far, options["settings"]),
        *_others_data(infos, manifest),
        *_in_use(infos, planes, far, options),
        *_left_out(planes, options["part"]),
    ]
    result["tasks"] = _tasks(plan, infos, result, options)
    result["warnings"] = _warnings(plan, options["settings"])
    if options["from"] and not far.at:
        result["warnings"] += survivors.warnings(options["from"], options["surveys"])
    return result


def _is_another(row: Mapping[str, Any] | None, info: Mapping[str, Any]) -> bool:
    """Return True if a node of the archive is another machine now."""
    own, former = info.get("machine_id"), (row or {}).get("machine_id")
    return bool(own and former and own != former)


def _has_something(info: Mapping[str, Any]) -> bool:
    return bool((info.get("cluster") or {}).get("kubelet_conf") or membership.has_data(info))


def _stop(infos: Infos, planes: Sequence[str], far: Progress, manifest: Mapping[str, Any]) -> list[str]:
    """Return the control planes that are stopped, and get the files of the user that the archive has."""
    files = any(name.startswith("files/") for name in manifest["parts"])
    wanted = [host for host in planes if files or host == far.first or _has_something(infos.get(host) or {})]
    return [host for host in wanted if host not in far.stopped]


# -- refusals ----------------------------------------------------------------------------------------------------------


def _not_confirmed(manifest: Mapping[str, Any], options: Mapping[str, Any]) -> list[Finding]:
    name = str(manifest["cluster"]["name"])
    if not options["must_confirm"] or options["confirm"] == name:
        return []
    text = (
        "restore_confirm is %s, and the cluster to restore is %s. The restore replaces what runs on the hosts. To "
        "confirm, add -e restore_confirm=%s"
    )
    shown = '"%s"' % options["confirm"] if options["confirm"] else "not set"
    return [Finding("restore.not_confirmed", text % (shown, name, name), None, options["confirm"] or None, name)]


def _unfit(plan: Mapping[str, Any], manifest: Mapping[str, Any], settings: Mapping[str, Any]) -> list[Finding]:
    """Refuse an archive that the inventory's cluster cannot be: distribution, version, datastore, fixed settings."""
    cluster, found = manifest["cluster"], []
    if plan.get("distribution") and plan["distribution"] != cluster["distribution"]:
        text = "The cluster to restore is a %s cluster, and the inventory is planned with %s. Set kube_distribution: %s"
        values = (cluster["distribution"], plan["distribution"], cluster["distribution"])
        return [Finding("restore.distribution", text % values, None, plan["distribution"], cluster["distribution"])]
    wanted = str(plan.get("version") or "")
    former = str(cluster["version"]).lstrip("v")
    if wanted and wanted.split(".")[:2] != former.split(".")[:2]:
        text = (
            "The cluster to restore has Kubernetes %s, and the inventory has kube_version %s. Set kube_version: %s, "
            "restore, and upgrade afterwards."
        )
        found.append(Finding("restore.version", text % (former, wanted, former), None, wanted, former))
    missing = [path for path in manifest.get("missing") or [] if path.endswith(AUTHORITY_KEYS)]
    if missing:
        text = (
            "The control plane whose data are restored does not have %s. It is needed to start one. Restore "
            "by hand, with the certificates that you sign."
        )
        found.append(Finding("restore.no_key", text % ", ".join(missing), None, missing))
    if restore_k3s.is_k3s(manifest):
        return found + restore_k3s.unfit(plan, manifest)
    return found + _etcd(plan, manifest) + _settings(plan, settings)


def _etcd(plan: Mapping[str, Any], manifest: Mapping[str, Any]) -> list[Finding]:
    """Refuse an etcd that is older than the one of the snapshot, or too old for the restore."""
    if str(plan.get("datastore") or "").startswith("external"):
        text = "The inventory has an external etcd. Restore the snapshot with its own tool."
        return [Finding("restore.external_etcd", text)]
    wanted = next((image.rpartition(":")[2] for image in plan.get("images") or [] if "/etcd:" in image), "")
    here, there = _minor(wanted), _minor(str(manifest["versions"].get("etcd") or ""))
    if here and here < max(there, ETCD_MINIMUM):
        text = "etcd would be %s, and the snapshot needs %d.%d or newer (it is of %s). Set a newer kube_version."
        values = (wanted, *max(there, ETCD_MINIMUM), manifest["versions"].get("etcd"))
        return [Finding("restore.etcd_version", text % values, None, wanted, manifest["versions"].get("etcd"))]
    return []


def _minor(version: str) -> tuple[int, ...]:
    return tuple(int(number) for number in re.findall(r"\d+", version)[:2])


def _settings(plan: Mapping[str, Any], there: Mapping[str, Any]) -> list[Finding]:
    """Refuse settings of the inventory that the archive's cluster has otherwise, and keeps for life."""
    wanted, found = _configuration(plan), []
    for path, name in lifecycle.configurations().items():
        old, new = _at(there, path), _at(wanted, path)
        if name == ENDPOINT or not wanted or old is None or old == new:
            continue
        text = "%s: the inventory has %s, and the cluster to restore %s, which it keeps for life. Set it to that."
        found.append(Finding("restore.setting", text % (name, new, old), None, new, old))
    return found


def _endpoint_change(plan: Mapping[str, Any], there: Mapping[str, Any]) -> tuple[str, str] | None:
    """Return (address of the API in the archive, that of the inventory) if they differ."""
    old, new = there.get("controlPlaneEndpoint"), _configuration(plan).get("controlPlaneEndpoint")
    return (str(old), str(new)) if old and new and old != new else None


def _endpoint_kept(plan: Mapping[str, Any], infos: Infos, far: Progress, there: Mapping[str, Any]) -> list[Finding]:
    """Refuse another address of the API while kubelets use the former one."""
    change = _endpoint_change(plan, there)
    kept = sorted(host for host, info in infos.items() if (info.get("cluster") or {}).get("kubelet_conf"))
    if not change or not kept or far.at:
        return []
    text = (
        "kube_api_endpoint: the API would be at %s, and the cluster to restore has it at %s, where %s look for it. "
        "Set it to that, or reset these hosts first."
    )
    return [Finding("restore.endpoint", text % (change[1], change[0], ", ".join(kept)), None, change[1], change[0])]


def _configuration(plan: Mapping[str, Any]) -> dict[str, Any]:
    """Return the ClusterConfiguration that the first control plane would start with."""
    for node in plan["nodes"].values():
        text = (node.get("kubeadm") or {}).get("init")
        for document in yaml.safe_load_all(text) if text else ():
            if isinstance(document, dict) and document.get("kind") == "ClusterConfiguration":
                return document
    return {}


def _at(document: Any, path: Sequence[str]) -> Any:
    for key in path:
        document = document.get(key) if isinstance(document, Mapping) else None
    return document


def _others_data(infos: Infos, manifest: Mapping[str, Any]) -> list[Finding]:
    """Refuse hosts that belong to another cluster than the archive's, by their certificate authority.

    An etcd that lost its data begins an empty cluster with the same authority. That one may be replaced.
    """
    own, found = manifest["cluster"]["ca_sha256"], []
    text = (
        "%s: belongs to another cluster than the one to restore (their certificate authority differs: %s, there %s). "
        "Restore its own cluster, or reset the host first (kubewright.cluster.reset --limit %s)."
    )
    for host, info in sorted(infos.items()):
        here = (info.get("cluster") or {}).get("ca_sha256")
        if here and here != own:
            values = (host, str(here)[:16], str(own)[:16], host)
            found.append(Finding("restore.other_cluster", text % values, host, here, own))
    return found


def _in_use(infos: Infos, planes: Sequence[str], far: Progress, options: Mapping[str, Any]) -> list[Finding]:
    """Refuse to replace a cluster that serves, or one that another restore has left half done."""
    rows = {host: record(infos.get(host)) for host in planes}
    others = [host for host, row in rows.items() if row and row["archive"] != options["archive_id"]]
    if others and not options["overwrite"]:
        text = (
            "%s: another restore was interrupted (it began at %s). Finish that first, or undo it with "
            "-e restore_undo=true."
        )
        return [Finding("restore.interrupted", text % (host, rows[host]["at"]), host) for host in others]
    if options["from"] and not far.at:
        return survivors.refusals(options["from"], options["surveys"], options["overwrite"])
    if options["overwrite"] or far.at:
        return []
    serving = [host for host in planes if _serves(membership.live_of(infos.get(host) or {}))]
    if not serving:
        return []
    text = (
        "%s: the cluster serves. The restore would replace it by the state of %s. To do that, add -e "
        "restore_overwrite=true. To finish a restore that was interrupted, run kubewright.cluster.site."
    )
    return [Finding("restore.serving", text % (", ".join(serving), options["manifest"]["created"]), None, serving)]


def _serves(live: Mapping[str, Any]) -> bool:
    """Return True if a control plane's API answers, or its etcd has a majority: a member list needs one."""
    return bool(live.get("healthy") or live.get("etcd_members"))


def _left_out(planes: Sequence[str], part: Sequence[str]) -> list[Finding]:
    out = [host for host in planes if host not in part]
    text = "%s: is a control plane, and --limit leaves it out. A restore needs all of them. Run without --limit."
    return [Finding("limit.left_out", text % host, host) for host in out]


# -- in words ----------------------------------------------------------------------------------------------------------


def _warnings(plan: Mapping[str, Any], settings: Mapping[str, Any]) -> list[Finding]:
    change = _endpoint_change(plan, settings)
    if not change:
        return []
    text = "The API endpoint changes from %s to %s. Kubeconfigs of users, and clients outside, need the new one."
    return [Finding("restore.new_endpoint", text % change, None, change[1], change[0])]


def _tasks(plan: Mapping[str, Any], infos: Infos, made: Mapping[str, Any], options: Mapping[str, Any]) -> list[str]:
    first, at = made["first"], made["at"]
    planes, workers = list(plan["control_planes"]), list(plan["workers"])
    source = options["from"]
    rows = ["from: %s" % options["described"]]
    if source and not made["serving"]:
        rows = [*survivors.rows(source, options["surveys"]), *rows]
    if made["serving"]:
        rows.append("%s: serves the restored data already (the run of %s was interrupted)" % (first, at))
    else:
        former = [host for host in made["stop"] if _has_something(infos.get(host) or {})]
        made_rows = _first_tasks(options["manifest"])(infos, first, at, former)
        if source:
            made_rows[0] = survivors.copied(first, restore_k3s.is_k3s(options["manifest"]))
        rows += made_rows
    if made["forgotten"]:
        rows.append("%s: delete the Nodes that are not in the inventory: %s" % (first, ", ".join(made["forgotten"])))
    if made["replaced"]:
        rows.append("%s: delete the Nodes that are other machines now: %s" % (first, ", ".join(made["replaced"])))
    others = [host for host in planes if host != first]
    if others:
        text = "%s: join the control plane%s"
        rows.append(
            text % (", ".join(others), "" if restore_k3s.has_sql(options["manifest"]) else ", with an empty etcd")
        )
    same = [host for host in workers if ((infos.get(host) or {}).get("cluster") or {}).get("kubelet_conf")]
    if same:
        rows.append("%s: nothing, their kubelets connect again" % ", ".join(same))
    new = [host for host in workers if host not in same]
    if new:
        rows.append("%s: join" % ", ".join(new))
    return rows


def _first_tasks(manifest: Mapping[str, Any]) -> Callable[[Infos, str, str, Sequence[str]], list[str]]:
    """Return the function that says what happens on the control planes."""
    if not restore_k3s.is_k3s(manifest):
        return _kubeadm_tasks
    if restore_k3s.has_sql(manifest):
        return restore_k3s.sql_tasks
    return restore_k3s.etcd_tasks if restore_k3s.on_etcd(manifest) else restore_k3s.tasks


def _kubeadm_tasks(_infos: Infos, first: str, at: str, former: Sequence[str]) -> list[str]:
    """Return what happens on the control planes. former: those that have something now."""
    rows = ["%s: receive the archive, make etcd's data of the snapshot" % first]
    if former:
        text = "%s: stop the control plane; its files go to /etc/kubernetes/before-%s, etcd's data to "
        text += "/var/lib/etcd/before-%s. Pods of users keep running"
        rows.append(text % (", ".join(former), at, at))
    return [*rows, "%s: put keys and data in place, start the control plane" % first]


# -- undo --------------------------------------------------------------------------------------------------------------


def _undo(plan: Mapping[str, Any], infos: Infos, planes: Sequence[str]) -> dict[str, Any]:
    """Plan to put back what an interrupted restore put aside."""
    rows = {host: record(infos.get(host)) for host in planes}
    hosts = [host for host, row in rows.items() if row]
    far = progress(infos, planes, "")
    result: dict[str, Any] = {"first": far.first, "undo": hosts, "tasks": [], "refusals": [], "warnings": []}
    if not hosts:
        text = "No control plane has an unfinished restore, so nothing can be undone."
        result["refusals"] = [Finding("restore.nothing_to_undo", text)]
    elif far.serving:
        text = (
            "%s: serves the restored data, so that the restore is not undone any more: what was written since would be "
            "lost. Run restore again to finish it. What was there before is in %s."
        )
        place = next((row["data_dir"] for row in rows.values() if row.get("data_dir")), None)
        kept = ["/etc/kubernetes", "/var/lib/etcd"] if place is None else [place]
        shown = " and ".join("%s/before-%s" % (folder, far.at) for folder in kept)
        result["refusals"] = [Finding("restore.too_late", text % (far.first, shown), far.first)]
    else:
        text = "%s: remove what the restore put there, put back what it put aside (%s), start the control plane"
        result["tasks"] = [text % (", ".join(hosts), far.at)]
    return result
