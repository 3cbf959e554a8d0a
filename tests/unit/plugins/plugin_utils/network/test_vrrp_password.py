# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The password of the virtual address: in one file that only root reads, in no plan, and no other service restarts."""

from __future__ import annotations

import json

import pytest
from ansible_collections.kubewright.cluster.plugins.plugin_utils.inputs import schema
from ansible_collections.kubewright.cluster.plugins.plugin_utils.network import endpoint
from ansible_collections.kubewright.cluster.plugins.plugin_utils.plan import planner, slices
from ansible_collections.kubewright.cluster.tests.unit.plugins.plugin_utils.clusters import running, with_inputs
from ansible_collections.kubewright.cluster.tests.unit.plugins.plugin_utils.findings import ids
from ansible_collections.kubewright.cluster.tests.unit.plugins.plugin_utils.machines import inventory

PASSWORD = "s3cr.et1"


def place(password=None, **more):
    made = {"mode": "vip", "address": "10.0.0.100", "interface": "eth0", **more}
    return {**made, "password": password} if password else made


def planned(hosts, groups):
    plan = planner.cluster_plan(hosts, groups)
    assert plan["refusals"] == []
    return plan, plan["nodes"]["cp-2"]


def written(plan, host, inputs):
    return {entry["path"]: entry for entry in slices.secrets(plan, host, schema.validate(inputs)[0])["files"]}


@pytest.mark.parametrize("distribution", ["kubeadm", "k3s"])
def test_a_new_cluster_has_the_password_in_a_file_of_its_own(distribution):
    inputs = {"kube_distribution": distribution, "kube_api_endpoint": place(PASSWORD)}
    plan, node = planned(*inventory(3, 1, inputs))
    entry = written(plan, "cp-2", inputs)[endpoint.PASSWORD_FILE]
    assert entry["mode"] == "0600" and entry["secret"] and "  auth_pass %s\n" % PASSWORD in entry["content"]
    assert endpoint.PASSWORD_FILE not in written(plan, "w-1", inputs)
    (public,) = [entry for entry in node["files"]["endpoint"] if entry["path"].endswith("/keepalived.conf")]
    assert "  include %s\n" % endpoint.PASSWORD_FILE in public["content"]
    assert PASSWORD not in json.dumps(plan, default=str)


@pytest.mark.parametrize("distribution", ["kubeadm", "k3s"])
@pytest.mark.parametrize(("before", "after"), [(PASSWORD, "another"), (None, PASSWORD), (PASSWORD, None)])
def test_a_change_reloads_keepalived_only(distribution, before, after):
    hosts, groups = running({"kube_distribution": distribution, "kube_api_endpoint": place(before)})
    assert planned(hosts, groups)[1]["steps"] == {}
    plan, node = planned(with_inputs(hosts, kube_api_endpoint=place(after)), groups)
    assert set(node["steps"]) == {"endpoint"} and node["stages"] == ["endpoint"]
    assert node["services"] == {endpoint.VIRTUAL_ADDRESS: "reloaded"}
    inputs = {"kube_distribution": distribution, "kube_api_endpoint": place(after)}
    assert list(written(plan, "cp-2", inputs)) == ([endpoint.PASSWORD_FILE] if after else [])
    gone = [entry["path"] for entry in node["files"]["endpoint"] if entry.get("state") == "absent"]
    assert gone == ([] if after else [endpoint.PASSWORD_FILE])


def test_a_run_that_was_killed_before_the_reload_is_finished():
    hosts, groups = running({"kube_distribution": "kubeadm", "kube_api_endpoint": place(PASSWORD)})
    hosts["cp-2"]["info"]["files"][endpoint.PASSWORD_FILE]["mtime"] = 300.0
    node = planned(hosts, groups)[1]
    assert node["services"] == {endpoint.VIRTUAL_ADDRESS: "reloaded"} and set(node["steps"]) == {"endpoint"}


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        ({"mode": "local", "password": PASSWORD}, "endpoint.unused_setting"),
        ({"mode": "external", "address": "api.example.com", "interface": "eth0"}, "endpoint.unused_setting"),
        (place(PASSWORD, address="fd00::100"), "endpoint.password_ipv6"),
    ],
)
def test_settings_that_would_have_no_effect(wanted, found):
    plan = planner.cluster_plan(*inventory(3, 1, {"kube_distribution": "kubeadm", "kube_api_endpoint": wanted}))
    assert found in ids(plan["refusals"]) and PASSWORD not in str(plan["refusals"])
