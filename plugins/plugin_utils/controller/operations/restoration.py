# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the operation restore does on the controller: read the archive, or what control planes say about their data,
plan the cluster as if it were new, say who does what.
"""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import yaml

from ...base.findings import Finding, as_dicts
from ...inputs import schema
from ...inputs.groups import roles_of
from ...operations import operations, restore, restore_k3s, survivors
from ...plan import slices
from .. import archives, destinations
from ..run_store import RunStore
from . import operation, plan_findings
from .operation import Hosts, Run

NAME = "restore"
CONFIGURATION = "kubeadm/kubeadm-config.yaml"
NAME_INPUT = "kube_cluster_name"


class Operation(operation.Operation):
    """A restore, from the archive to what each task gets.

    options: of the playbook. passphrase: of the archive. looks: of all hosts. applies: False if nothing is changed.
    problems: of the options. directory: for an archive that is elsewhere.
    """

    is_restored = True

    def __init__(
        self,
        options: Mapping[str, Any],
        passphrase: str,
        looks: Hosts,
        groups: Mapping[str, Sequence[str]],
        applies: bool,
        problems: Sequence[Finding] = (),
        directory: str = "",
    ) -> None:
        self.options, self.looks, self.applies = {"from": "", **options}, looks, applies
        self.refusals: list[Finding] = list(problems)
        self.control_planes = roles_of(groups)[0]
        self.infos = {host: look["info"] for host, look in looks.items() if look.get("info")}
        path = self.options.get("archive")
        self.options.update(manifest=None, settings={}, described="", archive_id="", must_confirm=applies)
        self.options["now"] = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
        self.options["surveys"] = {host: look["survey"] for host, look in looks.items() if look.get("survey")}
        if self.options["from"] and not self.options["undo"]:
            self._survive(self.options["from"])
        elif path and not self.options["undo"]:
            try:
                self.options["archive"] = self._found(path, passphrase, directory)
                self._read(path, passphrase)
            except archives.ArchiveError as error:
                self.refusals.append(Finding("restore.archive", str(error), value=path))
            except OSError as error:
                text = "%s cannot be read: %s. Correct restore_archive." % (path, error.strerror or error)
                self.refusals.append(Finding("restore.unreadable", text, value=path))

    @classmethod
    def of(cls, run: Run) -> Operation:
        """Return the restore that a run asks for, after its archive was read."""
        options, problems = run.options()
        passphrase, more = run.backups(options)
        return cls(options, passphrase, run.looks, run.groups, run.applies, problems + more, run.directory)

    @property
    def needs_plan(self) -> bool:
        """Return False for an undo: the plan may be incomplete then."""
        return not self.options["undo"]

    def _found(self, given: str, passphrase: str, directory: str) -> str:
        """Return where the archive is on the controller; one at a destination is brought here first.

        Raise ArchiveError or OSError.
        """
        if given.startswith(destinations.SCHEMES):
            settings, problems = destinations.read(self.looks, self.control_planes)
            self.refusals += problems
            return destinations.fetched(settings, given, os.path.join(directory, "archive"), passphrase)
        path = os.path.abspath(os.path.expanduser(given))
        return archives.newest(path) if os.path.isdir(path) else path

    def _read(self, given: str, passphrase: str) -> None:
        path = self.options["archive"]
        manifest = archives.examine(path, passphrase)
        with archives.opened(path, passphrase) as tar:
            for _name, stream in archives.parts(tar, (CONFIGURATION,)):
                self.options["settings"] = yaml.safe_load(stream.read()) or {}
        digest = hashlib.sha256(json.dumps(manifest, sort_keys=True).encode()).hexdigest()
        shown = given if given.startswith(destinations.SCHEMES) else path
        described = "%s (%s)" % (shown, archives.described(manifest))
        self.options.update(manifest=manifest, archive_id=digest[:16], described=described)

    def _survive(self, source: str) -> None:
        """Take the data of a control plane in place of an archive."""
        surveys = self.options["surveys"]
        self.refusals += survivors.unusable(source, surveys, self.control_planes, self.options["archive"])
        row = surveys.get(source) or {}
        if self.refusals or not row.get("manifest"):
            return
        cluster = row["manifest"]["cluster"]
        cluster["name"] = cluster["name"] or self._name(source)
        settings, described = yaml.safe_load(row["settings"]) or {}, survivors.described(source, row)
        found = {"manifest": row["manifest"], "archive_id": row["archive"], "described": described}
        self.options.update(found, settings=settings)

    def _name(self, host: str) -> str:
        """Return what the inventory calls the cluster of a host."""
        given = (self.looks[host].get("inputs") or {}).get(NAME_INPUT)
        return str(schema.validate({NAME_INPUT: given} if given else {})[0][NAME_INPUT])

    def known(self, looks: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
        """Return the looks as the plan needs them: without the cluster that is there, with the archive's version."""
        first = restore.progress(
            self.infos, self.control_planes, self.options["archive_id"], self.options["from"]
        ).first
        made: dict[str, dict[str, Any]] = {}
        for host, look in looks.items():
            made[host] = dict(look)
            if look.get("info"):
                info = restore.as_new(look["info"], host in self.control_planes)
                # The plan begins a cluster where data are.
                info["cluster"]["etcd_data"] = host == first and host != self.control_planes[0]
                made[host]["info"] = info
            if self.options["manifest"]:
                version = str(self.options["manifest"]["cluster"]["version"]).lstrip("v")
                inputs = dict(look.get("inputs") or {})
                inputs["kube_version"] = inputs.get("kube_version") or version
                if restore_k3s.on_etcd(self.options["manifest"]) and inputs.get("k3s_datastore", "auto") == "auto":
                    inputs["k3s_datastore"] = "etcd"  # a single server would get SQLite
                made[host]["inputs"] = inputs
        return made

    def into(self, plan: dict[str, Any], part: Collection[str]) -> None:
        """Put the operation into the plan of the new cluster. part: the hosts of this run."""
        made = operations.plan(NAME, plan, self.infos, {**self.options, "part": list(part)})
        if self.options["undo"]:
            plan["refusals"] = []
        else:  # the plan is of a cluster that does not run yet
            now = {host: {"info": self.infos.get(host)} for host in plan["control_planes"]}
            self.refusals += plan_findings.locked(plan, now, NAME)
        plan["refusals"] = as_dicts(self.refusals) + made["refusals"] + plan["refusals"]
        plan["warnings"] = made["warnings"] + plan["warnings"]
        plan["operation"] = {**made, "refusals": plan["refusals"], "warnings": plan["warnings"]}

    def stages(self, plan: Mapping[str, Any]) -> dict[str, list[str]]:
        """Return the hosts of each play of the playbook; none if nothing is changed."""
        made = plan["operation"]
        if plan["refusals"] or not self.applies:
            return {}
        if self.options["undo"]:
            return {"undo": made["undo"]}
        begun = made["serving"] and not restore.record(self.infos.get(made["first"]))
        return {
            "receive": [] if made["serving"] else [made["first"]],
            "stop": made["stop"],
            "restore": [] if begun else [made["first"]],
        }

    def keep(self, store: RunStore, plan: dict[str, Any], hosts: Hosts) -> None:
        """Keep what the tasks of the playbook read."""
        store.put("plan", "stages", self.stages(plan))
        share = store.get("node", plan["operation"]["first"] or "")
        store.put("plan", "operation", {**plan["operation"], **self.shared(plan, share)})

    def shared(self, plan: Mapping[str, Any], share: Mapping[str, Any] | None) -> dict[str, Any]:
        """Return what the tasks of the playbook read. share: the first control plane's part of the plan."""
        made, goes_on = plan["operation"], self.applies and not self.options["undo"] and not plan["refusals"]
        known = {key: self.options[key] for key in ("archive", "archive_id", "manifest", "from")}
        prepare: list[dict[str, str]] = []
        if share and goes_on and not made["serving"]:
            info = self.infos.get(made["first"]) or {}
            member = (info.get("cluster") or {}).get("kubelet_conf") or restore.record(info)
            # A node that is a member has its services; those that differ are site's.
            needs = [name for name in share["needs"] if not member or name == "programs"]
            prepare = slices.sequence([{"needs": needs}])
        names = {host: node["name"] for host, node in plan["nodes"].items()}
        return {
            **made,
            **known,
            "goes_on": goes_on,
            "prepare": prepare,
            "names": names,
            "data_dirs": self._data_dirs(plan),
        }

    def _data_dirs(self, plan: Mapping[str, Any]) -> dict[str, str]:
        """Return K3s's data directory by host; nothing for kubeadm. To undo a restore it is in the record."""
        if self.options["undo"]:
            rows = {host: restore.record(info) for host, info in self.infos.items()}
            return {host: row["data_dir"] for host, row in rows.items() if row.get("data_dir")}
        if not restore_k3s.is_k3s(self.options["manifest"]):
            return {}
        return {host: node.get("data_dir") or "" for host, node in plan["nodes"].items()}
