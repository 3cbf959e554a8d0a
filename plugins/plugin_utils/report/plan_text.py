# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The plan on a terminal: lines of at most 100 columns."""

from __future__ import annotations

from ..base.model import Plan
from ..base.words import names, natural
from . import inventory as inventory_block, summary, todo
from .lines import COLUMNS, Kind, Line, grouped, wrapped

LONG = 20  # a table of more nodes has one row for all that are alike
# Columns in the order in which they are left out where the table is too wide.
DROPPED = ("for pods", "cluster name", "cpus", "address")


def text(plan: Plan, inventory: str = "") -> list[str]:
    """Return the report on a plan as lines of plain text."""
    return [line.text for line in lines(plan, inventory)]


def lines(plan: Plan, inventory: str = "", brief: bool = False) -> list[Line]:
    """Return the report on a plan.

    inventory: as it was given with -i, for the next command. brief: only what a run that applies the plan should say:
    what the cluster is, what will be done, warnings and refusals.
    """
    if plan.get("operation"):
        return _operation(plan, brief)
    result = [] if brief else _inventory(plan)
    result += wrapped(summary.headline(plan), Kind.HEADING)
    if brief:
        result += wrapped(inventory_block.brief(plan))
    if not brief or not todo.is_idle(plan):
        result += wrapped("; ".join("%s %s" % row for row in summary.facts(plan)[2:]), indent="  ", hanging="")
    if not brief:
        for reason in summary.reasons(plan):
            result += wrapped("Why %s: %s" % (reason.title, reason.text) if reason.title else "Why: " + reason.text)
        result += _section("Nodes", table(plan))
    result += _todo(plan, brief)
    if not brief:
        result += _section("Open in your firewall", summary.firewall(plan))
    for warning in summary.found(plan["warnings"], plan["nodes"]):
        result += wrapped("warning: %s" % warning, Kind.WARNING)
    for refusal in summary.found(plan["refusals"], plan["nodes"]):
        result += wrapped("refused: %s" % refusal, Kind.REFUSAL)
    if not brief:
        for alternative in summary.alternatives(plan):
            result += wrapped(alternative)
        result += wrapped("Next: " + summary.next_step(plan, inventory), Kind.HEADING)
    return [line for line in result if line.text]


def _operation(plan: Plan, brief: bool) -> list[Line]:
    """Return what an operation on the cluster does. brief: the run that does it says this."""
    operation = plan["operation"]
    result = wrapped(summary.headline(plan), Kind.HEADING) if plan["nodes"] and plan.get("version") else []
    result += _section(operation["name"].capitalize(), operation["tasks"])
    for warning in summary.found(operation["warnings"], plan["nodes"]):
        result += wrapped("warning: %s" % warning, Kind.WARNING)
    for refusal in summary.found(operation["refusals"], plan["nodes"]):
        result += wrapped("refused: %s" % refusal, Kind.REFUSAL)
    if operation["refusals"] or not brief:
        next_step = "correct what is refused" if operation["refusals"] else "kubewright.cluster.%s" % operation["name"]
        result += wrapped("Next: " + next_step, Kind.HEADING)
    return [line for line in result if line.text]


def table(plan: Plan) -> list[str]:
    """Return a table of the nodes that fits the terminal; in a long one nodes that are alike share a row."""
    refused = bool(plan["refusals"])
    rows: list[tuple[str, ...]] = []
    for host in sorted(plan["nodes"], key=natural):
        node = plan["nodes"][host]
        cpus, memory, left = summary.machine(node)
        role = str(node["role"]).replace("_", " ")
        name = node["name"] if node["name"] != host else ""
        rows.append((host, name, role, node.get("address") or "?", cpus, memory, left, todo.state(node, refused)))
    if not rows:
        return []
    if len(rows) > LONG:
        alike = grouped((row[0], "\t".join(row[2:3] + row[4:])) for row in rows)
        rows = []
        for hosts, shared in alike:
            role, *rest = shared.split("\t")
            rows.append(("%d: %s" % (len(hosts), names(hosts)), "", role, "", *rest))
    return _fitting([("host", "cluster name", "role", "address", "cpus", "memory", "for pods", "state"), *rows])


def _fitting(rows: list[tuple[str, ...]]) -> list[str]:
    """Return rows as text: columns that are empty or do not fit are left out, a long name is cut at last."""
    keep = [column for column in range(len(rows[0])) if any(row[column] not in ("", "?") for row in rows[1:])]
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    room = COLUMNS - 2
    for name in DROPPED:
        if sum(widths[column] + 2 for column in keep) - 2 <= room:
            break
        keep = [column for column in keep if rows[0][column] != name]
    others = sum(widths[column] + 2 for column in keep[1:])
    widths[0] = min(widths[0], room - others)
    cut = [(row[0] if len(row[0]) <= widths[0] else row[0][: widths[0] - 1] + "…", *row[1:]) for row in rows]
    return ["  ".join(row[column].ljust(widths[column]) for column in keep).rstrip() for row in cut]


def _inventory(plan: Plan) -> list[Line]:
    """Return the block on another project's variables."""
    result = []
    for title, rows in inventory_block.block(plan):
        result += wrapped("%s:" % title, Kind.PLAIN, indent="  ") if len(rows) > 1 else []
        for row in rows:
            text = row if len(rows) > 1 else "%s: %s" % (title, row)
            result += wrapped(text, indent="    " if len(rows) > 1 else "  ")
    return [*wrapped(inventory_block.headline(plan) + ":", Kind.HEADING), *result] if result else []


def _todo(plan: Plan, brief: bool) -> list[Line]:
    if todo.is_idle(plan):
        # The headline says it too.
        return (
            [Line(Kind.PLAIN, "Every node is as it should be: nothing to do.")] if plan["nodes"] and not brief else []
        )
    return _section("To do", [str(task) for task in todo.tasks(plan)])


def _section(title: str, rows: list[str]) -> list[Line]:
    if not rows:
        return []
    result = [Line(Kind.HEADING, title + ":")]
    for row in rows:
        # A row of a table is not wrapped: its spaces carry meaning.
        result += [Line(Kind.PLAIN, "  " + row)] if len(row) <= COLUMNS - 2 else wrapped(row, indent="  ")
    return result
