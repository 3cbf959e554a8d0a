# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a run changes through the API: manifests, K3s's AddOns, CoreDNS' pods; labels and taints are in cluster_objects.

What a control plane could not read is unknown, and then the run compares it again.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import yaml

from ....module_utils.api import applied_objects, owned_objects
from ....module_utils.k3s import addons
from ...base.findings import Finding
from ...base.model import ManifestChange
from .. import cluster_objects

SHOWN = 6
TEXTS = {
    "new": "apply manifest %s (new)",
    "changed": "apply manifest %s (changed)",
    "altered": "apply manifest %s again",
    "removed": "remove manifest %s",
    "unknown": "compare and apply manifest %s",
}
UNKNOWN = "unknown"
# What was applied to a cluster that does not exist yet.
NOTHING: dict[str, Any] = {"record": {}, "digests": {}, "objects": {}}
Live = Mapping[str, Any]


@dataclass(frozen=True)
class Found:
    """What changes, in words: what is certain, and what is unknown until the run compares it."""

    certain: Sequence[str] = ()
    uncertain: Sequence[str] = ()


def find(plan: Mapping[str, Any], live: Live, texts: Mapping[str, str]) -> dict[str, Any]:
    """Return {manifest_changes, cluster_changes, apply_objects} of a plan without refusals; see base.model.Plan.

    live: what the leader's API said. texts: of the user's files, by the manifest's name.
    """
    if plan["leader"] is None:
        return {"manifest_changes": [], "cluster_changes": [], "apply_objects": False}
    exists = plan["exists"]
    starts = not exists or any(not node["joined"] or node["action"] for node in plan["nodes"].values())
    rows = _manifests(plan["manifests"], live.get("applied") if exists else NOTHING, texts)
    certain = [_words(row) for row in rows if row["state"] in TEXTS and row["state"] != UNKNOWN]
    uncertain = [_words(row) for row in rows if row["state"] == UNKNOWN]
    if exists:
        for found in (_addons(plan["addons"], live.get("addons")), _crowded(plan, live)):
            certain += found.certain
            uncertain += found.uncertain
    if uncertain and live.get("applied_error"):
        uncertain.append("what was applied is unknown: %s" % live["applied_error"])
    applies = bool(certain or starts or _labels_change(plan, live)) or (None if uncertain else False)
    return {"manifest_changes": rows, "cluster_changes": certain + uncertain, "apply_objects": applies}


def kept(rows: Iterable[ManifestChange]) -> list[Finding]:
    """Warn of manifests that stay although nothing names them any more, because no manifest is given at all."""
    names = [row["name"] for row in rows if row["state"] == "kept"]
    if not names:
        return []
    text = (
        "kube_manifests is empty; the objects of earlier manifests are kept (%s). To delete them, list each of these "
        "with state: absent."
    )
    return [Finding("manifests.kept", text % ", ".join(names), value=names)]


def left_out(plan: Mapping[str, Any], part: Collection[str]) -> list[Finding]:
    """Warn of changes in the cluster that this run does not make: --limit leaves out the host that makes them."""
    leader = plan["leader"]
    if leader is None or leader in part or not (plan["cluster_changes"] and plan["apply_objects"]):
        return []
    text = "%s, which --limit leaves out, applies what changes in the cluster: %s. It changes when site runs there too."
    return [Finding("limit.objects_not_applied", text % (leader, "; ".join(plan["cluster_changes"])), leader)]


def _manifests(
    planned: Sequence[Mapping[str, Any]], applied: Mapping[str, Any] | None, texts: Mapping[str, str]
) -> list[ManifestChange]:
    """Return what becomes of each manifest of the plan and of the record."""
    wanted = {str(row["name"]): row for row in planned if (row.get("state") or "present") == "present"}
    if applied is None:
        return [_row(str(row["name"]), UNKNOWN) for row in planned]
    record: Mapping[str, Sequence[str]] = applied["record"]
    none_given = all(_is_ours(str(row["name"])) for row in planned)
    stays = {name for name in record if none_given and not _is_ours(name)}
    contents = {name: texts.get(name, row.get("content")) or "" for name, row in wanted.items()}
    present = {owned_objects.same_object(identity) for name in stays for identity in record[name]}
    present.update(*(_in_text(content) for content in contents.values()))
    result = []
    for name, content in contents.items():
        before = [identity for identity in record.get(name) or [] if owned_objects.same_object(identity) in present]
        states = {_named(identity): applied["objects"].get(identity) or UNKNOWN for identity in before}
        differs = {named: state for named, state in states.items() if state != "same"}
        deletes = _deleted(record.get(name), present)
        result.append(_row(name, _state(name, content, applied, differs), differs, deletes))
    for name, identities in record.items():
        if name in stays:
            result.append(_row(name, "kept"))
        elif name not in wanted:
            result.append(_row(name, "removed", None, _deleted(identities, present)))
    return result


def _row(
    name: str, state: str, differs: Mapping[str, str] | None = None, deletes: Sequence[str] = ()
) -> ManifestChange:
    return {"name": name, "state": state, "differs": dict(differs or {}), "deletes": list(deletes)}


def _state(name: str, content: str, applied: Mapping[str, Any], differs: Mapping[str, str]) -> str:
    before = applied["digests"].get(name)
    if before is None:
        return "changed" if name in applied["record"] else "new"
    if before != applied_objects.digest(applied["key"], hashlib.sha256(content.encode()).hexdigest()):
        return "changed"
    states = set(differs.values())
    return "altered" if states - {UNKNOWN} else UNKNOWN if states else "same"


def _in_text(text: str) -> set[str]:
    """Return the objects in a manifest's text; without a namespace both as one of default and as one of the cluster."""
    rows = list(yaml.safe_load_all(text))
    rows = [item for row in rows if row for item in (row.get("items") or [row])]
    found = set()
    for row in rows:
        places = [row["metadata"].get("namespace")] if row["metadata"].get("namespace") else ["", "default"]
        for place in places:
            known = owned_objects.identity({**row, "metadata": {**row["metadata"], "namespace": place}})
            found.add(owned_objects.same_object(known))
    return found


def _deleted(identities: Sequence[str] | None, present: Collection[str]) -> list[str]:
    """Return the objects of a record that no manifest has any more."""
    return [_named(identity) for identity in identities or [] if owned_objects.same_object(identity) not in present]


def _named(identity: str) -> str:
    """Return an object as people write it: "ConfigMap kube-system/a"."""
    _version, kind, namespace, name = identity.split("|")
    return "%s %s%s" % (kind, namespace + "/" if namespace else "", name)


def _is_ours(name: str) -> bool:
    return name.startswith(owned_objects.OURS)


def _words(row: ManifestChange) -> str:
    parts = []
    for state in ("changed", "deleted"):
        names = [name for name, found in row["differs"].items() if found == state]
        if names:
            parts.append("%s on the cluster: %s" % (state, _shortened(names)))
    if row["deletes"]:
        parts.append("will be deleted: %s" % _shortened(row["deletes"]))
    text = TEXTS[row["state"]] % row["name"]
    return "%s; %s" % (text, "; ".join(parts)) if parts else text


def _shortened(names: Sequence[str]) -> str:
    more = len(names) - SHOWN
    return ", ".join(names) if more < 2 else "%s and %d more" % (", ".join(names[:SHOWN]), more)


def _labels_change(plan: Mapping[str, Any], live: Live) -> bool:
    """Return True if labels or taints of a node, or our record of them, change."""
    known = {row["name"]: row for row in live.get("nodes") or []}
    return any(cluster_objects.patch(known[name], wanted) for name, wanted in plan["objects"].items() if name in known)


def _addons(planned: Mapping[str, Any] | None, found: Mapping[str, str] | None) -> Found:
    """Return what is waited for, or deleted, of K3s's AddOns."""
    if not planned:
        return Found()
    if found is None:
        return Found(uncertain=["compare what K3s deployed"])
    items = [{"metadata": {"name": name}, "spec": {"checksum": digest}} for name, digest in found.items()]
    late, gone = addons.late(items, planned["wanted"]), addons.dropped(items, planned["wanted"], planned["kept"])
    waited = ["wait until K3s applies %s.yaml" % name for name in late]
    return Found(waited + ["delete the objects of %s.yaml, which K3s keeps" % name for name in gone])


def _crowded(plan: Mapping[str, Any], live: Live) -> Found:
    """Return whether a CoreDNS pod will be moved."""
    places = live.get("dns_places")
    if plan["plugin"] == "none":
        return Found()
    if places is None:
        return Found(uncertain=["look where CoreDNS' pods run"])
    pods = [{"metadata": {"name": ""}, "spec": {"nodeName": place}} for place in places]
    nodes = [
        {
            "metadata": {"name": row["name"]},
            "spec": {"taints": row.get("taints"), "unschedulable": row.get("unschedulable")},
            "status": {"conditions": [{"type": "Ready", "status": str(bool(row.get("ready")))}]},
        }
        for row in live.get("nodes") or []
    ]
    crowded = owned_objects.crowded(pods, nodes)
    return Found(["move a CoreDNS pod away from %s" % crowded["spec"]["nodeName"]] if crowded else [])
