# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a plan found: reasons, warnings and refusals, each with an id that tests and other tools can rely on."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple


@dataclass(frozen=True)
class Finding:
    """One problem.

    id: what it is, as `subject.problem` ("version.unsupported"); it stays the same when the wording changes.
    text: one or two sentences: the node, the value, the limit and the way out. Never the value of a secret input.
    node: the inventory name of the host concerned, None where it concerns the cluster.
    value, limit: the value found and the limit it was compared with, None where there is none.
    """

    id: str
    text: str
    node: str | None = None
    value: Any = None
    limit: Any = None

    def __str__(self) -> str:
        return self.text

    def as_dict(self) -> dict[str, Any]:
        """Return the finding as plain data for plan.json."""
        return asdict(self)


class Problems(NamedTuple):
    """What a check found: findings that stop the run, and findings that the user should know."""

    refusals: list[Finding]
    warnings: list[Finding]

    def __add__(self, other: Problems) -> Problems:  # type: ignore[override]
        return Problems(self.refusals + other.refusals, self.warnings + other.warnings)


class Findings:
    """The refusals and warnings of one plan, each kept once, in the order in which they were found."""

    def __init__(self) -> None:
        self.refusals: list[Finding] = []
        self.warnings: list[Finding] = []

    def refuse(self, found: Iterable[Finding]) -> None:
        """Add findings that stop the run before anything is changed."""
        _add(found, self.refusals)

    def warn(self, found: Iterable[Finding]) -> None:
        """Add findings that the user should know and that stop nothing."""
        _add(found, self.warnings)


def as_dicts(found: Iterable[Finding]) -> list[dict[str, Any]]:
    """Return findings as plain data for plan.json."""
    return [finding.as_dict() for finding in found]


def _add(found: Iterable[Finding], known: list[Finding]) -> None:
    for finding in found:
        if finding not in known:
            known.append(finding)


def reason(rule: str, node: str | None, value: Any, limit: Any, source: str | None, text: str) -> dict[str, Any]:
    """Return one reason of a plan: rule, node and its value, limit, the page that the limit is from, and a sentence."""
    return {"rule": rule, "node": node, "value": value, "limit": limit, "source": source, "text": text}
