# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The report of a run: steps with seconds, findings, and how it ended."""

from __future__ import annotations

import json

import pytest
from ansible_collections.kubewright.cluster.plugins.plugin_utils.plan import planner
from ansible_collections.kubewright.cluster.plugins.plugin_utils.report import run_report
from ansible_collections.kubewright.cluster.tests.unit.plugins.plugin_utils.clusters import running

PLAN = {"operation": "upgrade", "cluster": "prod", "from": "1.36.3", "to": "1.37.2", "warnings": [{"id": "a.b"}]}


@pytest.fixture
def report():
    made = run_report.Report("site", False, 1000.0)
    made.play = "Apply the plan"
    made.begin("w-1", "t1", 1001.0)
    made.end("w-1", "t1", {"name": "Install programs", "result": "changed"}, 1003.46)
    return made


def found(report, plan=None, ended=True):
    return json.loads(report.text(plan, 1010.0, ended))


def test_the_steps_of_a_node_are_listed_with_their_seconds(report):
    made = found(report, PLAN)
    step = {"play": "Apply the plan", "step": "Install programs", "result": "changed", "seconds": 2.5}
    assert made["nodes"] == {"w-1": [step]}
    assert (made["operation"], made["cluster"], made["from"], made["to"]) == ("upgrade", "prod", "1.36.3", "1.37.2")
    assert (made["outcome"], made["seconds"], made["started"]) == ("ok", 10.0, "1970-01-01T00:16:40Z")
    assert made["findings"] == {"refusals": [], "warnings": [{"id": "a.b"}]}


def test_a_run_that_did_not_end_says_so(report):
    made = found(report, PLAN, ended=False)
    assert made["outcome"] == "unfinished" and made["ended"] is None


@pytest.mark.parametrize("result", ["failed", "unreachable"])
def test_a_failure_is_named_without_secrets(report, result):
    report.begin("w-1", "t2", 1004.0)
    message = "cannot pull: password: hunter2hunter2"
    report.end("w-1", "t2", {"name": "Pull", "result": result, "message": message}, 1005.0)
    made = found(report, PLAN)
    assert made["outcome"] == "failed" and "cannot pull" in made["nodes"]["w-1"][1]["message"]
    assert "hunter2hunter2" not in json.dumps(made)


def test_a_refused_run_changed_nothing(report):
    report.end("w-1", "t2", {"name": "Compute the plan", "result": "failed", "message": "see above"}, 1005.0)
    assert found(report, {**PLAN, "refusals": [{"id": "x.y"}]})["outcome"] == "refused"


def test_an_ignored_failure_is_none(report):
    report.end("w-1", "t2", {"name": "Gather facts", "result": "ignored", "message": "x"}, 1005.0)
    assert found(report)["outcome"] == "ok"


def test_without_a_plan_the_playbook_is_named(report):
    made = found(report)
    assert made["operation"] == "site" and made["cluster"] is None


def test_the_summary_of_a_plan():
    hosts, groups = running({"kube_version": "1.36.3"}, 1)
    plan = planner.cluster_plan(hosts, groups)
    made = run_report.summary(plan, {host: row["info"] for host, row in hosts.items()})
    assert (made["from"], made["to"], made["cluster"], made["operation"]) == ("1.36.3", "1.36.3", "kubernetes", "")
