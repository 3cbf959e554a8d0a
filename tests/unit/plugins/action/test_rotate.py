# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The operation rotate on the controller: what is printed, what each play gets, what becomes of the kubeconfig."""

from __future__ import annotations

import pytest
from ansible_collections.kubewright.cluster.plugins.action import plan as plan_action
from ansible_collections.kubewright.cluster.plugins.lookup import cluster_hosts, planned
from ansible_collections.kubewright.cluster.plugins.module_utils.api.certificates import AUTHORITIES
from ansible_collections.kubewright.cluster.plugins.plugin_utils.base.findings import Finding
from ansible_collections.kubewright.cluster.plugins.plugin_utils.controller import kubeconfig
from ansible_collections.kubewright.cluster.tests.unit.plugins.action.conftest import HostVars
from ansible_collections.kubewright.cluster.tests.unit.plugins.action.test_plan import lookup
from ansible_collections.kubewright.cluster.tests.unit.plugins.plugin_utils.clusters import running

PLANES = ["cp-1", "cp-2", "cp-3"]


@pytest.fixture
def plan(action, store, tmp_path):
    """Plan the operation. Returns (result, printed text)."""

    def make(days, inputs=None, healthy=True, **options):
        hosts, groups = running()
        for host, row in hosts.items():
            cluster = row["info"]["cluster"]
            if host in PLANES:
                cluster["certificates"] = {name: {"days_left": days} for name in AUTHORITIES}
                cluster["renewal"] = {"authorities": sorted(set(AUTHORITIES.values())), "outdated": {}}
                cluster["finished"] = True
                if not healthy:
                    cluster["live"] = {"healthy": False, "error": "connection refused"}
            cluster.setdefault("certificates", {})["kubelet-client-current"] = {"days_left": 200, "life_days": 365}
            given = {**row["inputs"], **(inputs or {})}
            store.put("look", host, {"info": row["info"], "error": None, "inputs": given, "problems": []})
        made = action(plan_action.ActionModule, {"operation": "rotate"}, variables=options)
        variables = {
            "groups": {"all": sorted(hosts), **groups},
            "ansible_play_hosts_all": sorted(hosts),
            "inventory_dir": str(tmp_path),
            "hostvars": HostVars({host: {} for host in hosts}),
            **options,
        }
        return made.run(task_vars=variables), made._display.text()

    return make


def test_nothing_to_do_runs_no_play(plan):
    result, text = plan(200, rotate_days="30", inputs={"kube_kubeconfig": {"fetch": False}})
    assert result == {"changed": False, "refusals": []} and "nothing to do" in text and "nothing to renew" in text
    assert lookup(cluster_hosts, "expired", "renew", "workers", "asked", "stay") == ["!all"]


def test_what_the_plays_get(plan):
    result, text = plan(100)
    assert result["refusals"] == [] and "cp-1: renew 11 certificates" in text
    assert lookup(cluster_hosts, "renew") == [*PLANES, "w-1"] and lookup(cluster_hosts, "expired") == ["!all"]
    [operation] = lookup(planned, "operation")
    assert [row["host"] for row in operation["nodes"]] == PLANES and operation["timeout"] == 300
    assert "ClusterConfiguration" in operation["config"] and operation["holder"]["operation"] == "rotate"


def test_another_run_that_changes_the_cluster_is_waited_for(plan, monkeypatch):
    monkeypatch.setattr(
        plan_action.plan_findings, "locked", lambda _plan, _hosts, name: [Finding("cluster.locked", "held: " + name)]
    )
    result, text = plan(100)
    assert result["failed"] and "held: rotate" in text
    assert lookup(cluster_hosts, "renew") == ["!all"]


def test_a_wrong_option_ends_the_run(plan):
    result, text = plan(100, rotate_days="soon")
    assert result["failed"] and "rotate_days: expected a whole number" in text
    assert lookup(cluster_hosts, "renew") == ["!all"]


def test_an_expired_cluster_keeps_its_kubeconfig_though_its_plan_has_problems(plan, tmp_path):
    data = {"certificate-authority-data": "QQ==", "client-certificate-data": "QQ==", "client-key-data": "QQ=="}
    keys = {key: value for key, value in data.items() if key.startswith("client")}
    authority = {key: value for key, value in data.items() if key not in keys}
    path = tmp_path / "kubeconfig"
    path.write_text(kubeconfig.written(authority, keys, "https://192.0.2.7:6443", "kubernetes"))
    result, text = plan(-5, healthy=False, inputs={"kubeadm_cluster_config": {"encryptionAlgorithm": "ECDSA-P256"}})
    assert result["refusals"] == [] and "all control planes at once" in text
    assert lookup(cluster_hosts, "expired") == PLANES and lookup(cluster_hosts, "renew") == ["!all"]
    [file] = lookup(planned, "kubeconfig")
    assert (file["path"], file["server"], file["fetch"]) == (str(path), "https://192.0.2.7:6443", True)
    [operation] = lookup(planned, "operation")
    assert "encryptionAlgorithm: ECDSA-P256" in operation["config"]
    assert lookup(cluster_hosts, "asked") == ["cp-1"]
