# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What differs between a node and its desired state: steps, each with its reason.

A node that has its desired state gets no step. A service is restarted when one of its files will change, or has changed
since the
service started: a run that was killed in between is finished by the next.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any
from urllib.parse import unquote

from ...module_utils.node import os_settings, paths
from ..base.distribution import Distribution, File, Node
from ..machine import memory_cgroup

Facts = Mapping[str, Any]

# A reload of the endpoint keeps its connections.
RELOADED = ("kube-endpoint", "kube-endpoint-vip")
# containerd reads these at each pull, crictl at each call, a backup when it begins.
READ_AT_USE = (
    "/etc/containerd/certs.d/",
    "/etc/crictl.yaml",
    "/etc/kubernetes/kubewright/",
    "/etc/logrotate.d/",
    paths.BACKUP + "/",
)
# Why a file of others is written; node_info reads those that a host may have before (controller/host_inputs.py).
REPLACED = "replaces a file that the collection did not write; it is kept in /etc/kubewright/before"
NOT_RUNNING, NOT_ENABLED = "%s is not running", "%s is not enabled"
# K3s reads this folder every 15 seconds, wherever its data directory is.
WATCHED = "/server/manifests/"


def wrong_files(wanted: Sequence[File], facts: Facts) -> dict[str, str]:
    """Return {path: why} of the files that are missing, differ in content or mode, or will be removed."""
    result = {}
    for entry in wanted:
        there = (facts.get("files") or {}).get(entry["path"])
        if entry.get("state") == "absent":
            result.update({entry["path"]: "will be removed"} if there and there.get("owned", True) else {})
        elif not there:
            result[entry["path"]] = "is missing"
        elif there.get("sha256") != _digest(entry):
            result[entry["path"]] = "differs" if there.get("owned", True) else REPLACED
        elif there.get("mode") != entry["mode"]:
            result[entry["path"]] = "has mode %s, not %s" % (there.get("mode"), entry["mode"])
    return result


def _digest(entry: File) -> str:
    """Return the SHA-256 of a file, which is all that the plan has of one that is built where it is written."""
    return str(entry.get("sha256") or hashlib.sha256(entry["content"].encode()).hexdigest())


def left_over(distribution: Distribution, node: Node, wanted: Iterable[str]) -> dict[str, list[File]]:
    """Return by part the files of ours on a node that nothing calls for any more, as files that will be removed.

    wanted: the paths of all files that the node should have. A file that was there before us comes back.
    """
    keep, existing = set(wanted), node["info"].get("files") or {}
    owned = ((node["info"].get("owned") or {}).get("files")) or {}
    found: dict[str, list[File]] = {}
    for part, places in distribution.owned_places(node).items():
        gone = [
            path
            for path in sorted(owned)
            if path not in keep
            and existing.get(path)
            and any(path.startswith(place) if place.endswith("/") else path == place for place in places)
        ]
        # They may have had a login, so they are not shown in the diff.
        found[part] = [{"path": path, "state": "absent", "secret": True} for path in gone]
    return {part: files for part, files in found.items() if files}


def wrong_programs(items: Sequence[Mapping[str, Any]], facts: Facts) -> dict[str, str]:
    """Return {program: why} of the programs that are missing or have another version."""
    result: dict[str, str] = {}
    records = facts.get("artifacts") or {}
    for item in items:
        directory = str((item.get("unpack") or {}).get("dest_dir"))
        installed = [
            record
            for path, record in records.items()
            if (path == item.get("dest") if item.get("dest") else path.startswith(directory + "/"))
            and _same_origin(record, item)
        ]
        name = (item.get("dest") or item["component"]).rsplit("/", 1)[-1]
        if not installed:
            result[name] = "%s %s is not installed" % (name, item["version"])
        elif not all(record.get("intact") for record in installed):
            result[name] = "%s was changed by someone else" % name
    return result


def _same_origin(record: Mapping[str, Any], item: Mapping[str, Any]) -> bool:
    there, wanted = (unquote(str(text).split("://", 1)[-1]) for text in (record.get("source", ""), item["url"]))
    return bool(record.get("version") == item["version"]) and there.endswith(wanted)


def wrong_settings(wanted: Mapping[str, Any], facts: Facts) -> list[str]:
    """Return why kernel modules, sysctls, swap and the journal must be changed."""
    reasons: list[str] = []
    kernel = facts.get("kernel") or {}
    for module in wanted["modules"]:
        if kernel.get("modules", {}).get(module) not in ("loaded", "builtin"):
            reasons.append("module %s is not loaded" % module)
    for name, value in wanted["sysctls"].items():
        there = (kernel.get("sysctls") or {}).get(name)
        if there is not None and str(there) != value:
            reasons.append("%s is %s, not %s" % (name, there, value))
    owned = (facts.get("owned") or {}).get("files") or {}
    texts = {
        paths.MODULES_FILE: os_settings.modules_text(wanted["modules"]),
        paths.SYSCTL_FILE: os_settings.sysctl_text(wanted["sysctls"]),
    }
    for path, text in texts.items():
        there = (facts.get("files") or {}).get(path) or {}
        if path not in owned or not there:
            reasons.append("%s is missing" % path)
        elif there.get("sha256") != hashlib.sha256(text.encode()).hexdigest():
            reasons.append("%s differs" % path)
    if wanted["journald"] == "volatile":
        reasons += memory_cgroup.wrong_journal(facts)
    elif paths.JOURNAL_FILE in owned or ((facts.get("owned") or {}).get("settings") or {}).get("journald"):
        reasons.append("%s will be removed" % paths.JOURNAL_FILE)
    if wanted.get("kernel_arguments"):
        reasons.append(
            "%s must be in %s" % (" ".join(wanted["kernel_arguments"]["words"]), wanted["kernel_arguments"]["file"])
        )
    swap = facts.get("swap") or {}
    if wanted["swap"] == "off" and (swap.get("total_bytes") or swap.get("fstab")):
        reasons.append("swap is on")
    return reasons


def read_at_use(path: str) -> bool:
    """Return True if a file is read when it is needed, so that a change of it restarts nothing."""
    return path.startswith(READ_AT_USE) or WATCHED in path


def reasons_to_start(name: str) -> list[str]:
    """Return the reasons for which a service is started as it is."""
    return [NOT_RUNNING % name, NOT_ENABLED % name]


def service_action(
    name: str, files: Sequence[File], wrong: Mapping[str, str], programs_change: bool, facts: Facts
) -> tuple[str | None, str]:
    """Return (state for the service module or None, why) of one service.

    files: its desired files. wrong: those that will change. programs_change: its program will be replaced.
    """
    service = (facts.get("services") or {}).get(name) or {}
    verb = "reloaded" if name in RELOADED else "restarted"
    if service.get("active") not in ("active", "reloading"):
        return "started", NOT_RUNNING % name
    read = [entry["path"] for entry in files if not read_at_use(entry["path"])]
    changed = [path for path in read if path in wrong]
    if changed:
        return verb, "%s changes" % ", ".join(changed)
    if programs_change:
        return "restarted", "its program changes"
    since = service.get("newest_process_epoch" if name in RELOADED else "started_epoch")
    program = "%s/%s" % (paths.PROGRAMS, name)
    written = {path: ((facts.get("files") or {}).get(path) or {}).get("mtime") for path in read}
    written[program] = ((facts.get("artifacts") or {}).get(program) or {}).get("mtime")
    newer = [path for path, moment in written.items() if _is_later(moment, since, facts)]
    if newer:
        return verb, "%s changed after it started" % ", ".join(newer)
    if service.get("enabled") not in ("enabled", "static", "enabled-runtime"):
        return "started", NOT_ENABLED % name
    return None, ""


def _is_later(moment: float | None, since: float | None, facts: Facts) -> bool:
    """Return True if a file was written after its service started. A time in the future says nothing: the clock was set
    back, and each restart would look earlier than the file until the clock is there again."""
    now = (facts.get("clock") or {}).get("epoch")
    return bool(since is not None and moment and moment > since + 1 and not (now and moment > now + 1))


def steps(
    distribution: Distribution, desired: Mapping[str, Any], facts: Facts, joined: bool
) -> tuple[dict[str, list[str]], dict[str, str]]:
    """Return (steps {name: [why]}, services {name: state}) of one node.

    desired: settings, packages, programs, files and units (both by part), K3s also script. joined: True if the node is
    a member.
    """
    result: dict[str, list[str]] = {}
    reasons = wrong_settings(desired["settings"], facts)
    if reasons:
        result["settings"] = reasons
    result.update(memory_cgroup.steps(facts))
    if desired["packages"]:
        result["packages"] = ["%s is not installed" % name for name in desired["packages"]]
    wrong = wrong_programs(desired["programs"], facts)
    if wrong:
        result["programs"] = list(wrong.values())
    reasons = distribution.wrong_script(desired.get("script") or {}, wrong, facts)
    if reasons:
        result["script"] = reasons
    services: dict[str, str] = {}
    for part, units in desired["units"].items():
        files = desired["files"].get(part)
        if files:
            joins = set(distribution.started_by_join) & set(units)
            # An agent's service has another name than the one program.
            program = distribution.one_program and distribution.version_program in wrong
            changes = {name for name in units if name in wrong} | (joins if program or "script" in result else set())
            reasons, states = _part(distribution, units, files, changes, facts, joined)
            states.update(dict.fromkeys(_stopped(units, files, facts), "stopped"))
            services.update(states)
            if reasons:
                result[part] = reasons
    return result, services


def _part(
    distribution: Distribution,
    units: Sequence[str],
    files: Sequence[File],
    changes: set[str],
    facts: Facts,
    joined: bool,
) -> tuple[list[str], dict[str, str]]:
    """Return (why, services {name: state}) of one part of a node. changes: services whose program will be replaced."""
    differing = wrong_files(files, facts)
    reasons, services = ["%s %s" % item for item in differing.items()], {}
    for name in units:
        own = [entry for entry in files if _belongs(entry["path"], name)]
        if all(entry.get("state") == "absent" for entry in own):
            continue
        state, why = service_action(name, own, differing, name in changes, facts)
        if not joined and name in distribution.started_by_join:
            enabled = ((facts.get("services") or {}).get(name) or {}).get("enabled") == "enabled"
            ready = enabled and not differing or not distribution.started_by_join[name]
            state, why = (None, "") if ready else ("enabled", "%s is not set up" % name)
        if state:
            services[name] = state
            reasons.append(why)
    return reasons, services


def _stopped(units: Sequence[str], files: Sequence[File], facts: Facts) -> list[str]:
    """Return the services that run, or start at boot, and whose unit will be removed."""
    gone = {entry["path"] for entry in files if entry.get("state") == "absent"}
    known = facts.get("services") or {}
    return [
        name
        for name in units
        if unit_path(name) in gone
        and ((known.get(name) or {}).get("active") == "active" or (known.get(name) or {}).get("enabled") == "enabled")
    ]


def unit_path(name: str) -> str:
    """Return the path of a unit. name: with its kind unless it is a service."""
    return "/etc/systemd/system/" + (name if name.endswith(".timer") else name + ".service")


def _belongs(path: str, service: str) -> bool:
    """Return True if a service reads a file. Only the endpoint has two services."""
    if "keepalived" in path or path.endswith("kube-endpoint-vip.service"):
        return service == "kube-endpoint-vip"
    return service != "kube-endpoint-vip"
