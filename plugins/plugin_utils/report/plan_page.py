# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The plan as one HTML page.

It loads nothing, runs nothing, and is readable on a phone, in print and by a screen reader.
"""

from __future__ import annotations

import json
import os
import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import yaml
from jinja2 import Environment, FileSystemLoader, StrictUndefined, Template
from markupsafe import Markup, escape

from ..base import quantity, resources, words
from ..base.model import Datastore, Plan, PlanNode
from . import inventory as inventory_block, summary, todo

_ADDRESS = re.compile(r"(https?://[^\s<>\"')]*[^\s<>\"').,;:])")
SHOWN = 8  # so many nodes of a role are drawn; the others are a link to the table
TEMPLATES = os.path.join(resources.COLLECTION_ROOT, "plugins", "plugin_utils", "report", "templates")


@dataclass(frozen=True)
class Memory:
    """A machine's memory as a bar: percentages of the bar's width, and the same in words."""

    free: float
    reserved: float
    least: float
    text: str
    limit: str
    enough: bool


@dataclass(frozen=True)
class Row:
    """One node in the table of nodes."""

    host: str
    name: str
    role: str
    address: str
    machine: str
    state: str
    cpus: str
    cpus_limit: str
    cpus_enough: bool
    memory: Memory | None
    pods: str
    labels: list[str]
    leads: bool


def html(plan: Plan, inventory: str = "", date: str = "", kubeconfig: str = "") -> str:
    """Return the page of a plan.

    inventory: as it was given with -i. date: when the plan was made, as the page shows it. kubeconfig: where the
    cluster's kubeconfig is written on the controller. What is empty is left out.
    """
    rows = [_row(plan, host) for host in sorted(plan["nodes"], key=words.natural)]
    return _template().render(
        title="Plan of the cluster %s" % plan["name"] if plan.get("name") else "Plan of a cluster",
        headline=summary.headline(plan),
        made=_made(date, inventory),
        refused=bool(plan["refusals"]),
        idle=todo.is_idle(plan),
        refusals=summary.found(plan["refusals"], plan["nodes"]),
        warnings=summary.found(plan["warnings"], plan["nodes"]),
        inventory=inventory_block.block(plan),
        inventory_title=inventory_block.headline(plan),
        facts=_facts(plan, kubeconfig),
        reasons=summary.reasons(plan),
        alternatives=summary.alternatives(plan),
        figure=_figure(plan, rows),
        rows=rows,
        with_labels=any(row.labels for row in rows),
        tasks=todo.tasks(plan),
        firewall=summary.firewall(plan),
        components=_components(plan),
        images=plan["images"],
        next_step=summary.next_step(plan, inventory),
    )


def linked(text: object) -> Markup:
    """Return a text with its addresses as links."""
    parts = _ADDRESS.split(str(text))
    return Markup("").join(
        Markup('<a href="{0}">{0}</a>').format(part) if number % 2 else escape(part)
        for number, part in enumerate(parts)
    )


@lru_cache(maxsize=1)
def _template() -> Template:
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["linked"] = linked
    return environment.get_template("plan.html.j2")


@lru_cache(maxsize=1)
def collection_version() -> str:
    """Return the version of this collection, empty where neither its manifest nor its galaxy.yml can be read."""
    try:
        return str(json.loads(resources.read_text("MANIFEST.json"))["collection_info"]["version"])
    except (OSError, ValueError, KeyError):
        pass
    try:
        return str(yaml.safe_load(resources.read_text("galaxy.yml"))["version"])
    except (OSError, yaml.YAMLError, KeyError):
        return ""


def _made(date: str, inventory: str) -> str:
    parts = ["Made", "on %s" % date if date else "", "for the inventory %s" % inventory if inventory else ""]
    return " ".join([*filter(None, parts), "with kubewright.cluster %s." % collection_version()])


def _facts(plan: Plan, kubeconfig: str) -> list[tuple[str, str]]:
    rows = summary.facts(plan)
    if not plan["refusals"] and plan.get("version"):
        rows += [("download", todo.download(plan) or "nothing"), ("kubeconfig", kubeconfig)]
    return [(label, value) for label, value in rows if value]


def _row(plan: Plan, host: str) -> Row:
    node = plan["nodes"][host]
    have = node.get("machine") or {}
    least = _minimum(plan, node)
    cpus, _memory, _left = summary.machine(node)
    machine = [have.get("architecture"), have.get("os"), have.get("board"), *(have.get("gpus") or [])]
    return Row(
        host=host,
        name=node["name"] if node["name"] != host else "",
        role=str(node["role"]).replace("_", " "),
        address=node.get("address") or "",
        machine=", ".join(str(part) for part in machine if part),
        state=todo.state(node, bool(plan["refusals"])),
        cpus=cpus,
        cpus_limit="%g" % least["cpus"] if least else "",
        cpus_enough=not least or have.get("cpus") is None or have["cpus"] >= least["cpus"],
        memory=_memory_of(node, least),
        pods=_pods(node),
        labels=_labels(plan, node),
        leads=plan.get("leader") == host and node.get("action") == "init",
    )


def _minimum(plan: Plan, node: PlanNode) -> Any:
    """Return what the distribution needs of the node's role: {memory (bytes), cpus}; None where none was chosen."""
    chosen = summary.distribution(plan)
    return chosen.minimum[str(node["role"])] if chosen else None


def _memory_of(node: PlanNode, least: Any) -> Memory | None:
    size = (node.get("machine") or {}).get("memory_bytes")
    if size is None:
        return None
    limit = least["memory"] if least else 0
    free = ((node.get("capacity") or {}).get("allocatable") or {}).get("memory_bytes")
    whole = max(size, limit * 1.25, 1)
    for_pods = size if free is None else min(free, size)
    return Memory(
        free=round(100 * for_pods / whole, 1),
        reserved=round(100 * (size - for_pods) / whole, 1),
        least=round(100 * limit / whole, 1),
        text=quantity.human(size),
        limit=quantity.human(limit) if limit else "",
        enough=size >= limit,
    )


def _pods(node: PlanNode) -> str:
    """Return what the kubelet leaves to pods, and how many it takes."""
    capacity = node.get("capacity")
    if not capacity or capacity["allocatable"]["memory_bytes"] is None:
        return ""
    left, pods = capacity["allocatable"], capacity["pods"]
    room = "%g CPUs, %s" % (left["cpus"] or 0, quantity.human(left["memory_bytes"]))
    return "%s: room for %d pods of 128 MiB (limit %d)" % (room, pods["of_128Mi"], pods["limit"])


def _labels(plan: Plan, node: PlanNode) -> list[str]:
    """Return a node's labels and taints as kubectl takes them."""
    wanted = (plan.get("objects") or {}).get(node["name"]) or {}
    taints = wanted.get("taints") if wanted.get("taints") is not None else node.get("taints")
    texts = ["%s=%s" % item for item in (wanted.get("labels") or {}).items()]
    for taint in taints or []:
        value = "=%s" % taint["value"] if taint.get("value") else ""
        texts.append("taint %s%s:%s" % (taint["key"], value, taint["effect"]))
    return texts


def _figure(plan: Plan, rows: list[Row]) -> dict[str, Any] | None:
    """Return what the drawing shows, None where there is no plan of nodes."""
    if not plan.get("endpoint"):
        return None
    planes, workers = ([row for row in rows if (row.role == "control plane") is leading] for leading in (True, False))
    way, address = summary.endpoint(plan), plan["endpoint"]["host_port"]
    store = plan.get("database") or plan.get("datastore") or "datastore"
    who = [words.count(len(found), word) for found, word in ((workers, "worker"), (planes, "control plane")) if found]
    return {
        "tiers": [
            {"name": name, "kind": kind, "rows": found[:SHOWN], "more": len(found) - SHOWN}
            for name, kind, found in (("Workers", "worker", workers), ("Control planes", "plane", planes))
            if found
        ],
        "endpoint": address,
        "way": way,
        "store": store,
        "where": _store_place(store, len(planes)),
        "network": "Pod network %s: %s" % (plan["plugin"], ", ".join(plan["pod_cidrs"])),
        "caption": "%s reach the API at %s (%s). Datastore: %s." % (words.both(who), address, way, store),
    }


def _store_place(store: str, planes: int) -> str:
    if not planes or Datastore.parse(store).is_external:
        return "outside of these nodes"
    return "on the control plane" if planes == 1 else "on the control planes"


def _components(plan: Plan) -> list[tuple[str, str]]:
    """Return the versions of all programs that the plan installs or keeps, as (name, versions)."""
    versions: dict[str, set[str]] = {}
    for node in plan["nodes"].values():
        for item in node.get("programs") or []:
            versions.setdefault(item["component"], set()).add(str(item["version"]).removeprefix("v"))
    return [(name, ", ".join(sorted(found))) for name, found in versions.items()]
