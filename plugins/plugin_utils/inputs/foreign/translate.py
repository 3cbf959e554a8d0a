# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Translate one host's variables of another project into inputs, by the project's table."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from ...base.findings import Finding
from ...base.yaml_documents import merge
from .. import schema
from .dialect import FROM_FACTS, Context, Dialect, Kind, Outcome, Row

# Inputs of which each name adds a part; of others the last one counts.
_JOINED = ("kube_api_sans", "kube_needs", "kube_node_taints", "kube_pod_cidrs", "kube_service_cidrs", "k3s_disable")


@dataclass
class Translation:
    """What one host's variables of another project are here.

    project, page: its name and documentation. inputs: in this collection's words. entries: for the report, each {name,
    kind, text}. origins: by path of an input, the name that the user wrote. problems: decisions that the user has to
    make, and what cannot be read.
    """

    project: str = ""
    page: str = ""
    inputs: dict[str, Any] = field(default_factory=dict)
    entries: list[dict[str, str]] = field(default_factory=list)
    origins: dict[str, str] = field(default_factory=dict)
    problems: list[Finding] = field(default_factory=list)

    def as_dict(self) -> dict[str, Any]:
        """Return what the plan needs of it as plain data."""
        problems = [{"id": finding.id, "text": finding.text, "value": finding.value} for finding in self.problems]
        kept = {"project": self.project, "page": self.page, "entries": self.entries, "origins": self.origins}
        return {**kept, "inputs": sorted(self.inputs), "problems": problems}


def translate(
    dialect: Dialect,
    host: str,
    variables: Mapping[str, Any],
    evaluate: Callable[[str], Any],
    own: Mapping[str, Any],
    server: bool,
    servers: Sequence[str] = (),
) -> Translation:
    """Return what a host's variables are in this collection's inputs.

    variables: not templated. evaluate: returns the value of a variable of the table, or raises ValueError with the
    problem. own: this collection's inputs that the host has; they win. Only exact names of the table are evaluated.
    """
    result = Translation(dialect.name, dialect.page)

    def value_of(name: str) -> Any:
        try:
            return evaluate(name) if name in variables and name in dialect.rows else None
        except ValueError:
            return None  # it has its own row, which says what is wrong

    context = Context(host, server, value_of, own, servers)
    for name in sorted(variables):
        row = dialect.row(name, schema.specification())
        if row:
            for outcome in _outcomes(result, dialect, name, row, variables[name], evaluate, context):
                _take(result, name, row, outcome, own)
    if dialect.distribution and not _is_set("kube_distribution", {**result.inputs, **own}):
        result.inputs["kube_distribution"] = dialect.distribution
        text = "kube_distribution: %s" % dialect.distribution
        result.entries.append({"name": dialect.name, "kind": Kind.TRANSLATED.value, "text": text})
    return result


def _outcomes(
    result: Translation,
    dialect: Dialect,
    name: str,
    row: Row,
    raw: Any,
    evaluate: Callable[[str], Any],
    context: Context,
) -> list[Outcome]:
    """Return what one variable means."""
    if name not in dialect.rows:
        return _unevaluated(row, raw, context)
    if row.kind is Kind.UNDERSTOOD:
        return [Outcome(Kind.UNDERSTOOD)]
    if row.read is None:
        return [Outcome(row.kind, {}, row.note)]
    if row.asks and row.to and _is_set(row.to, context.own):
        return [Outcome(Kind.NO_EFFECT, {}, "%s is set" % row.to.partition(".")[0])]
    try:
        value = evaluate(name)
        if value == FROM_FACTS and not name.endswith(("ip", "_args")):
            raise ValueError("%s is a fact, and facts are not gathered. Write the value itself." % name)
        found = row.read(value, context)
    except (ValueError, TypeError, AttributeError, KeyError) as error:
        text = str(error) if name in str(error) else "%s: has another form than %s gives it." % (name, dialect.name)
        result.problems.append(Finding("inventory.unreadable", text, value=name))
        return []
    outcomes = found if isinstance(found, list) else [found]
    return [_asked(name, value, each) if each.kind is Kind.DECIDE else each for each in outcomes]


def _asked(name: str, value: Any, outcome: Outcome) -> Outcome:
    """Return a question that names the variable and a short value of it."""
    if outcome.text.startswith(name):
        return outcome
    shown = " %s" % value if isinstance(value, (str, int, float)) and not isinstance(value, bool) else ""
    return replace(outcome, text="%s%s: %s" % (name, shown, outcome.text))


def _unevaluated(row: Row, raw: Any, context: Context) -> list[Outcome]:
    """Return what a variable means that only matches a pattern: a template is not evaluated."""
    if row.read is None or isinstance(raw, str) and "{{" in raw:
        return [Outcome(row.kind, {}, row.note)]
    found = row.read(raw, context)
    return found if isinstance(found, list) else [found]


def _is_set(path: str, own: Mapping[str, Any]) -> bool:
    """Return True if the user set an input, or the key of one."""
    here: Any = own
    for key in path.split("."):
        if not isinstance(here, Mapping) or here.get(key) is None:
            return False
        here = here[key]
    return True


def _take(result: Translation, name: str, row: Row, outcome: Outcome, own: Mapping[str, Any]) -> None:
    """Add what one variable means to the translation."""
    if outcome.kind is Kind.DECIDE:
        result.problems.append(Finding("inventory.decision", outcome.text, value=name))
    replaced = [key for key in outcome.inputs if key in own and not isinstance(own[key], Mapping) and key != name]
    inputs = {key: value for key, value in outcome.inputs.items() if key not in replaced}
    kind, text = outcome.kind, outcome.text
    if inputs:
        text = "; ".join(filter(None, [said(key, value) for key, value in inputs.items()] + [text]))
    elif replaced:
        kind, text = Kind.NO_EFFECT, "%s is set" % ", ".join(replaced)
    _join(result.inputs, inputs)
    for path in outcome.origins or _paths(inputs):
        result.origins.setdefault(path, outcome.origins.get(path, name))
    entry = {"name": outcome.wrote or name, "kind": kind.value, "text": text}
    if entry not in result.entries:
        result.entries.append(entry)


# Maps whose keys are the user's own.
_FREE_KEYS = ("kube_node_labels",)


def _paths(inputs: Mapping[str, Any]) -> list[str]:
    """Return the paths that a name sets: inputs, and the keys of those that are maps."""
    found = []
    for name, value in inputs.items():
        keys = list(value) if isinstance(value, Mapping) and name not in _FREE_KEYS else []
        found += ["%s.%s" % (name, key) for key in keys] or [name]
    return found


def _join(known: dict[str, Any], more: Mapping[str, Any]) -> None:
    """Add inputs to those that are known: maps are merged, lists of _JOINED grow, other values are replaced."""
    for key, value in more.items():
        there = known.get(key)
        if isinstance(there, Mapping) and isinstance(value, Mapping):
            known[key] = merge(there, value)
        elif isinstance(there, list) and isinstance(value, list) and key in _JOINED:
            known[key] = there + [item for item in value if item not in there]
        else:
            known[key] = value


def said(name: str, value: Any) -> str:
    """Return an input and its value as the report shows them: in full, but of what may be secret only the keys."""
    if not schema.is_secret(name) and name not in schema.PARTLY_SECRET:
        return "%s: %s" % (name, value if isinstance(value, str) else json.dumps(value, ensure_ascii=False))
    if isinstance(value, Mapping):
        return ", ".join("%s.%s" % (name, key) for key in value)
    return "%s (%d)" % (name, len(value)) if isinstance(value, list) else name
