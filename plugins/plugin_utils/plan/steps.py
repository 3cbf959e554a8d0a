# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a node lacks to be as it should be: from desired state and facts to steps, each with its reason.

A node that has its desired state gets no step. A service is restarted when one of its files will change, or changed after the
service started: a run that was killed between the two is finished by the next.
"""

from __future__ import annotations

import hashlib
from urllib.parse import unquote

from ..base.distribution import Distribution
from ..machine import memory_cgroup as board

# The endpoint's reload keeps connections.
RELOADED = ("kube-endpoint", "kube-endpoint-vip")
# containerd reads these at each pull, crictl at each call.
READ_AT_USE = ("/etc/containerd/certs.d/", "/etc/crictl.yaml", "/etc/kubernetes/kubewright/", "/etc/logrotate.d/")
# K3s looks at this folder every 15 seconds, wherever its data are.
WATCHED = "/server/manifests/"


def wrong_files(wanted: list, facts: dict) -> list:
    """The files that are missing, differ in content or mode, or are to go: sentences by path, as {path: why}."""
    result = {}
    for entry in wanted:
        there = (facts.get("files") or {}).get(entry["path"])
        if entry.get("state") == "absent":
            result.update({entry["path"]: "is to go"} if there else {})
        elif not there:
            result[entry["path"]] = "is missing"
        elif there.get("sha256") != hashlib.sha256(entry["content"].encode()).hexdigest():
            result[entry["path"]] = "differs"
        elif there.get("mode") != entry["mode"]:
            result[entry["path"]] = "has mode %s, not %s" % (there.get("mode"), entry["mode"])
    return result


def wrong_programs(items: list, facts: dict) -> dict:
    """Programs that are missing or have another version: {component: why}."""
    result = {}
    records = facts.get("artifacts") or {}
    for item in items:
        directory = (item.get("unpack") or {}).get("dest_dir")
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


def _same_origin(record, item):
    there, wanted = (unquote(str(text).split("://", 1)[-1]) for text in (record.get("source", ""), item["url"]))
    return record.get("version") == item["version"] and there.endswith(wanted)


def wrong_settings(wanted: dict, facts: dict) -> list:
    """Kernel modules, sysctls and swap that are not as wanted: sentences."""
    reasons = []
    kernel = facts.get("kernel") or {}
    for module in wanted["modules"]:
        if kernel.get("modules", {}).get(module) not in ("loaded", "builtin"):
            reasons.append("module %s is not loaded" % module)
    for name, value in wanted["sysctls"].items():
        there = (kernel.get("sysctls") or {}).get(name)
        if there is not None and str(there) != value:
            reasons.append("%s is %s, not %s" % (name, there, value))
    owned = (facts.get("owned") or {}).get("files") or {}
    for path in ("/etc/modules-load.d/kubewright.conf", "/etc/sysctl.d/99-kubewright.conf"):
        if path not in owned or not (facts.get("files") or {}).get(path):
            reasons.append("%s is missing" % path)
    if wanted["journald"] == "volatile":
        reasons += board.wrong_journal(facts)
    if wanted.get("kernel_arguments"):
        reasons.append("%s is to be in %s" % (" ".join(wanted["kernel_arguments"]["words"]), wanted["kernel_arguments"]["file"]))
    swap = facts.get("swap") or {}
    if wanted["swap"] == "off" and (swap.get("total_bytes") or swap.get("fstab")):
        reasons.append("swap is on")
    return reasons


def read_at_use(path: str) -> bool:
    """Whether a file is read when it is needed, so that a change of it restarts nothing."""
    return path.startswith(READ_AT_USE) or WATCHED in path


def service_action(name: str, files: list, wrong: dict, programs_change: bool, facts: dict) -> tuple:
    """(state for the service module or None, why) of one service.

    files: its desired files. wrong: those that will change. programs_change: its program will be replaced.
    """
    service = (facts.get("services") or {}).get(name) or {}
    verb = "reloaded" if name in RELOADED else "restarted"
    if service.get("active") not in ("active", "reloading"):
        return "started", "%s is not running" % name
    read = [entry["path"] for entry in files if not read_at_use(entry["path"])]
    changed = [path for path in read if path in wrong]
    if changed:
        return verb, "%s changes" % ", ".join(changed)
    if programs_change:
        return "restarted", "its program changes"
    since = service.get("newest_process_epoch" if name in RELOADED else "started_epoch")
    newer = [
        path
        for path in read
        if since is not None and ((facts.get("files") or {}).get(path) or {}).get("mtime", 0) > since + 1
    ]
    if newer:
        return verb, "%s changed after it started" % ", ".join(newer)
    if service.get("enabled") not in ("enabled", "static", "enabled-runtime"):
        return "started", "%s is not enabled" % name
    return None, ""


def steps(distribution: Distribution, desired: dict, facts: dict, joined: bool) -> tuple:
    """(steps {name: [sentences]}, services {name: state}) of one node.

    desired: settings, packages, programs, files and units (both by part), perhaps script. joined: True if the node is, or is taken for, a member.
    """
    result, services = {}, {}
    reasons = wrong_settings(desired["settings"], facts)
    if reasons:
        result["settings"] = reasons
    result.update(board.steps(facts))
    if desired["packages"]:
        result["packages"] = ["%s is not installed" % name for name in desired["packages"]]
    wrong = wrong_programs(desired["programs"], facts)
    if wrong:
        result["programs"] = list(wrong.values())
    script = desired.get("script") or {}
    reasons = distribution.wrong_script(script, wrong, facts)
    if reasons:
        result["script"] = reasons
    for part, names in desired["units"].items():
        files = desired["files"].get(part)
        if not files:
            continue
        differing = wrong_files(files, facts)
        sentences = ["%s %s" % item for item in differing.items()]
        for name in names:
            own = [entry for entry in files if _belongs(entry["path"], name)]
            if not own:
                continue
            changes = name in wrong or "script" in result and name in distribution.started_by_join
            state, why = service_action(name, own, differing, changes, facts)
            if not joined and name in distribution.started_by_join:
                enabled = ((facts.get("services") or {}).get(name) or {}).get("enabled") == "enabled"
                ready = enabled and not differing or not distribution.started_by_join[name]
                state, why = (None, "") if ready else ("enabled", "%s is not set up" % name)
            if state:
                services[name] = state
                sentences.append(why)
        if sentences:
            result[part] = sentences
    return result, services


def _belongs(path, service):
    """Which of the endpoint's two services reads a file."""
    if "keepalived" in path or path.endswith("kube-endpoint-vip.service"):
        return service == "kube-endpoint-vip"
    return service != "kube-endpoint-vip"
