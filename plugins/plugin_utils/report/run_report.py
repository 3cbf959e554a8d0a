# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The report of a run as JSON: what was done on which node, how long it took, and how it ended. No secrets."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime, timezone
from typing import Any

from ...module_utils.base.masking import masked_message

SCHEMA = 1
FAILED = ("failed", "unreachable")


def summary(plan: Mapping[str, Any], looks: Mapping[str, Mapping[str, Any] | None]) -> dict[str, Any]:
    """Return what a report says of the plan. looks: facts by host."""
    leader: Mapping[str, Any] = looks.get(plan.get("leader") or "") or {}
    running = str((((leader.get("cluster") or {}).get("live")) or {}).get("version") or "")
    operation = plan.get("operation") or {}
    return {
        "operation": operation.get("name") or "",
        "cluster": plan.get("name"),
        "distribution": plan.get("distribution"),
        "from": running.lstrip("v") or None,
        "to": plan.get("version"),
        "warnings": list(plan.get("warnings") or []),
        "refusals": list(plan.get("refusals") or []),
    }


class Report:
    """A report in the making. Times are in seconds since 1970."""

    def __init__(self, playbook: str, check: bool, now: float) -> None:
        self.playbook, self.check, self.began = playbook, check, now
        self.play = ""
        self.nodes: dict[str, list[dict[str, Any]]] = {}
        self._begun: dict[tuple[str, str], float] = {}

    def begin(self, host: str, task: str, now: float) -> None:
        """Say that a task starts on a host. task: its ID."""
        self._begun[(host, task)] = now

    def end(self, host: str, task: str, step: Mapping[str, Any], now: float) -> None:
        """Add a step. step: name, result (ok, changed, failed, unreachable, ignored), and of a failure message."""
        seconds = round(now - self._begun.pop((host, task), now), 1)
        row = {"play": self.play, "step": masked_message(str(step["name"])), "result": step["result"]}
        row["seconds"] = seconds
        if step["result"] in FAILED:
            row["message"] = masked_message(str(step.get("message") or ""))
        self.nodes.setdefault(host, []).append(row)

    def outcome(self, plan: Mapping[str, Any], ended: bool) -> str:
        """Return ok, refused, failed, or unfinished for a run that did not end."""
        if any(row["result"] in FAILED for rows in self.nodes.values() for row in rows):
            return "refused" if plan.get("refusals") else "failed"
        return "ok" if ended else "unfinished"

    def text(self, plan: Mapping[str, Any] | None, now: float, ended: bool) -> str:
        """Return the report as JSON. plan: summary(), None before there is a plan."""
        plan = plan or {}
        found = {
            "schema": SCHEMA,
            "operation": plan.get("operation") or self.playbook,
            "check": self.check,
            **{name: plan.get(name) for name in ("cluster", "distribution", "from", "to")},
            "started": _date(self.began),
            "ended": _date(now) if ended else None,
            "seconds": round(now - self.began, 1),
            "outcome": self.outcome(plan, ended),
            "findings": {name: plan.get(name) or [] for name in ("refusals", "warnings")},
            "nodes": self.nodes,
        }
        return json.dumps(found, indent=4, sort_keys=True) + "\n"


def _date(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
