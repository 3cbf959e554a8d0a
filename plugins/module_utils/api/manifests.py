# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Apply, compare, record and delete manifests through kubectl. Standard library only.

Nothing is deleted before every manifest is applied, and after any answer but success or NotFound.
"""

from __future__ import annotations

import json
import time
from typing import Any, Callable, Dict, List, Optional, Set, Tuple

from ..base import commands
from ..base.commands import Result
from ..base.masking import masked_message
from ..node import paths
from . import applied_objects, owned_objects as objects
from .applied_objects import Recorder

# The identities of the objects that each manifest created.
Record = Dict[str, List[str]]
KUBECTL = [paths.PROGRAMS + "/kubectl"]
WAIT_SECONDS = 60
# For one call of kubectl, which waits for an API server that took its request and does not answer.
KUBECTL_SECONDS = 120
# A definition is established within seconds; an admission webhook may slow it down.
KIND_SECONDS = 30
APPLY = ("--server-side", "--force-conflicts", "--field-manager=" + objects.MANAGER)
SHOW = ("-o", "json", "--show-managed-fields")


class Manifests:
    """kubectl with the administrator's rights, the manifests of a module, and the record of what was changed.

    module: the AnsibleModule. run: commands.run().
    """

    def __init__(self, module: Any, run: Callable[..., Result] = commands.run) -> None:
        self.module, self.manifests, self.run = module, module.params.get("manifests") or [], run
        self.changes: List[str] = []
        self.applied = Recorder(self.kubectl)
        self.targets: Optional[Set[Tuple[str, str, str]]] = None

    def change(self, sentence: str) -> bool:
        """Record a change. Return True if it has to be made, False in check mode."""
        self.changes.append(sentence)
        return not self.module.check_mode

    def kubectl(self, *arguments: str, text: str | None = None, may_fail: bool = False) -> tuple[int, str, str]:
        """Return (exit status, output, errors) of kubectl. Fail the module on an error, unless may_fail.

        text: its input. An API server that does not answer is asked again for WAIT_SECONDS, and then always fails it.
        """
        config = self.module.params["kubeconfig"]
        program = [paths.k3s_program(), "kubectl"] if config.startswith("/etc/rancher/k3s/") else KUBECTL
        argv = [*program, "--kubeconfig", config, *arguments]
        deadline = time.monotonic() + WAIT_SECONDS
        while True:
            done = self.run(argv, timeout=KUBECTL_SECONDS, stdin=text, env=commands.NO_PROXY)
            status, output, errors = done.rc, done.out, done.err
            unreached = status == commands.TIMED_OUT or status != 0 and objects.unreached(errors)
            if not unreached or time.monotonic() > deadline:
                break
            time.sleep(2)
        # No answer does not mean that there is nothing: no caller may go on after it.
        if status and (unreached or not may_fail):
            text = "kubectl %s: %s" % (" ".join(arguments[:3]), masked_message(errors.strip()))
            self.module.fail_json(msg=text, changes=self.changes)
        return status, output, errors

    def delete(self, identity: str) -> None:
        """Delete an object by its identity, without waiting until it is gone."""
        self.kubectl("delete", "--ignore-not-found", "--wait=false", *objects.kubectl_target(identity))

    def keep_manifests(self) -> None:
        """Apply the manifests, and delete the objects of dropped ones."""
        record, given = self.record(), self.manifests
        wanted = {item["name"]: item for item in given if item.get("state", "present") == "present"}
        # Nothing is deleted before every manifest is applied: a failure ends the module.
        self.applied.load()
        new: Record = {}
        try:
            for name, item in wanted.items():
                new[name] = self.apply(name, item.get("content") or "", record.get(name) or [])
        except BaseException:
            self.remember(record, new)
            raise
        kept = self.kept(record, [item["name"] for item in given])
        new.update(kept)
        applied = [identity for identities in new.values() for identity in identities]
        for name, known in record.items():
            for identity in known:
                if objects.same_object(identity) not in map(objects.same_object, applied):
                    self.drop(name, identity, applied)
        if not self.module.check_mode:
            if new != record:
                self.write_record(new)
            self.applied.save(kept)

    def remember(self, record: Record, new: Record) -> None:
        """Add to the record what a run applied that then failed: a later run must know that it is ours."""
        both = {name: sorted({*(record.get(name) or []), *(new.get(name) or [])}) for name in {**record, **new}}
        if both != {name: sorted(known) for name, known in record.items()} and not self.module.check_mode:
            self.write_record(both)

    def kept(self, record: Record, given: List[str]) -> Record:
        """Return the entries of the record that stay although nothing names them.

        That no manifest of the user's is given at all may be a variable that was not read, so it deletes nothing.
        """
        known = {name: entries for name, entries in record.items() if not name.startswith(objects.OURS)}
        if not known or any(not name.startswith(objects.OURS) for name in given):
            return {}
        self.module.warn(
            "kube_manifests is empty; the objects of earlier manifests are kept (%s). "
            "To delete them, list each of these with state: absent." % ", ".join(sorted(known))
        )
        return known

    def drop(self, name: str, identity: str, applied: List[str]) -> None:
        """Delete an object that no manifest has any more, unless it is an applied object by another group."""
        uid = self.uid(identity)
        if uid is None or uid in [self.uid(other) for other in applied if objects.renamed_group(identity, other)]:
            return
        if self.change("manifest %s: delete %s" % (name, identity)):
            self.delete(identity)

    def uid(self, identity: str) -> Optional[str]:
        """Return the UID of an object, None if it does not exist."""
        query = ("get", "--ignore-not-found", "-o", "json", *objects.kubectl_target(identity))
        status, output, errors = self.kubectl(*query, may_fail=True)
        if status and "the server doesn't have a resource type" not in errors:
            self.module.fail_json(msg="%s cannot be read: %s" % (identity, errors.strip()), changes=self.changes)
        return json.loads(output)["metadata"]["uid"] if status == 0 and output.strip() else None

    def apply(self, name: str, content: str, known: list[str]) -> list[str]:
        """Apply one manifest. Return the identities of its objects. known: those of the record."""
        given, content = content, self.left_to_autoscalers(content)
        status, _output, errors = self.kubectl("diff", *APPLY, "-f", "-", text=content, may_fail=True)
        if status > 1 and objects.waits_for_its_own(content, errors):
            return self.apply_in_turn(name, content, known)
        if status > 1:
            self.refused(name, errors)
        # A client-side dry run reads the identities of the objects from the text, without the API.
        listed = self.kubectl("create", "--dry-run=client", "-o", "json", "-f", "-", text=content)[1]
        identities = sorted(objects.identity(item) for item in objects.documents(listed))
        if not identities:
            text = "manifest %s has no objects. To delete what it created before, set state: absent." % name
            self.module.fail_json(msg=text, changes=self.changes)
        if status == 0:
            found = objects.documents(self.kubectl("get", "-f", "-", *SHOW, text=content)[1])
        if status == 1 or self.applied.lost(name, found):
            if not self.change("manifest %s: %s" % (name, ", ".join(identities))):
                return identities
            found = objects.documents(self.kubectl("apply", *APPLY, *SHOW, "-f", "-", text=content)[1])
        self.applied.add(name, given, found)
        return identities

    def left_to_autoscalers(self, content: str) -> str:
        """Return a manifest without the numbers of replicas that autoscalers have set.

        One that an autoscaler has not set yet stays: without it the API server would set one replica.
        """
        if "replicas" not in content or not self.scaled():
            return content
        listed = self.kubectl("create", "--dry-run=client", "-o", "json", "-f", "-", text=content, may_fail=True)
        items = objects.documents(listed[1]) if listed[0] == 0 else []
        chosen = [item for item in items if applied_objects.has_replicas_of(item, self.scaled())]
        if not chosen:
            return content
        text = json.dumps({"apiVersion": "v1", "kind": "List", "items": chosen})
        there = self.kubectl("get", "--ignore-not-found", "-f", "-", *SHOW, text=text)[1]
        scaled = {objects.identity(item) for item in objects.documents(there) if applied_objects.is_scaled(item)}
        chosen = [item for item in chosen if objects.identity(item) in scaled]
        for item in chosen:
            del item["spec"]["replicas"]
        return json.dumps({"apiVersion": "v1", "kind": "List", "items": items}) if chosen else content

    def scaled(self) -> Set[Tuple[str, str, str]]:
        """Return what the cluster's autoscalers are for, asked once."""
        if self.targets is None:
            found = self.kubectl("get", applied_objects.AUTOSCALERS, "-A", "-o", "json")[1]
            self.targets = applied_objects.scale_targets(objects.documents(found))
        return self.targets

    def apply_in_turn(self, name: str, content: str, known: list[str]) -> list[str]:
        """Apply a manifest that creates namespaces or kinds that its other objects use. See apply().

        kubectl applies what it can, in the manifest's order. A new kind is served a moment after its definition.
        """
        if not self.change("manifest %s: its namespaces or kinds, then its other objects" % name):
            return known
        deadline = time.monotonic() + KIND_SECONDS
        while True:
            status, output, errors = self.kubectl("apply", *APPLY, *SHOW, "-f", "-", text=content, may_fail=True)
            if status == 0:
                break
            if not objects.waits_for_its_own(content, errors) or time.monotonic() > deadline:
                self.refused(name, errors)
            time.sleep(1)
        found = objects.documents(output)
        self.applied.add(name, content, found)
        return sorted(objects.identity(item) for item in found)

    def refused(self, name: str, errors: str) -> None:
        """Fail the module with what the API server has against a manifest."""
        text = "manifest %s cannot be applied: %s" % (name, masked_message(errors.strip()))
        self.module.fail_json(msg=text, changes=self.changes)

    def record(self) -> Record:
        """Return the record in the cluster, {} if there is none. Fail the module if it cannot be read."""
        query = ("-n", "kube-system", "get", "configmap", objects.CONFIG_MAP, "-o", "json")
        status, output, errors = self.kubectl(*query, may_fail=True)
        if status and "(NotFound)" in errors:
            return {}
        try:
            found: Record = json.loads(json.loads(output)["data"]["manifests"])
        except (ValueError, KeyError):
            text = "the record of applied manifests (ConfigMap kube-system/%s) cannot be read: %s"
            why = errors.strip() or "it is damaged; correct or delete it"
            self.module.fail_json(msg=text % (objects.CONFIG_MAP, why), changes=self.changes)
        return found

    def write_record(self, record: Record) -> None:
        """Write the record to the cluster."""
        document: Dict[str, Any] = {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": objects.CONFIG_MAP, "namespace": "kube-system"},
            "data": {"manifests": json.dumps(record, sort_keys=True)},
        }
        self.kubectl("apply", *APPLY, "-f", "-", text=json.dumps(document))
