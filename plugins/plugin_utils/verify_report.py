# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The checks of verify as a table for people and as data for programs."""

from __future__ import annotations

ORDER = {"fail": 0, "warn": 1, "ok": 2}


def summary(checks: list) -> list:
    """Lines: every failure and warning, then one line for each kind of check that passed."""
    lines = []
    for status in ("fail", "warn"):
        lines += [
            "%s  %s%s: %s"
            % (status.upper(), item["name"], " on %s" % item["node"] if item["node"] else "", item["text"])
            for item in checks
            if item["status"] == status
        ]
    passed = {}
    for item in checks:
        if item["status"] == "ok":
            passed.setdefault(item["name"], []).append(item)
    for name, items in passed.items():
        hosts = {item["node"] for item in items if item["node"]}
        lines.append(
            "ok    %s: %s"
            % (name, items[0]["text"] if len(items) == 1 else "%d checks on %d nodes" % (len(items), len(hosts) or 1))
        )
    return lines


def failures(checks: list) -> list:
    """Sentences of the failed checks."""
    return [
        "%s%s: %s" % (item["name"], " on %s" % item["node"] if item["node"] else "", item["text"])
        for item in checks
        if item["status"] == "fail"
    ]


def unheard(hosts: dict) -> list:
    """Checks for nodes that gave no answer to the probe. hosts: by host {name, probed}."""
    return [
        {
            "name": "probe",
            "status": "fail",
            "text": "no answer: %s" % (node["probed"] or {}).get("msg", "the node cannot be reached"),
            "node": node["name"],
        }
        for host, node in sorted(hosts.items())
        if "checks" not in (node["probed"] or {})
    ]


def document(plan: dict, checks: list) -> dict:
    """What is written as JSON: {schema, cluster, version, healthy, checks}; healthy when nothing failed."""
    ordered = sorted(checks, key=lambda item: (ORDER[item["status"]], item["name"], item["node"] or ""))
    return {
        "schema": 1,
        "cluster": plan.get("name"),
        "version": plan.get("version"),
        "healthy": not failures(checks),
        "checks": ordered,
    }
