# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The block on another project's inventory, in the text and on the page."""

from __future__ import annotations

from ansible_collections.kubewright.cluster.plugins.plugin_utils.report import inventory, plan_page, plan_text
from ansible_collections.kubewright.cluster.tests.unit.plugins.plugin_utils.foreign import K3S, KUBESPRAY, planned

GIVEN = {"k3s_version": "v1.36.3+k3s1", "extra_server_args": "--tls-san a.example --debug", "user_kubectl": True}


def test_parts_of_a_command_line_have_a_row_each():
    rows = dict(inventory.block(planned(K3S, **GIVEN)))
    assert rows["Translated"] == [
        "extra_server_args --debug → k3s_config.debug (cp-1)",
        'extra_server_args --tls-san → kube_api_sans: ["a.example"] (cp-1)',
        "k3s_version → kube_distribution: k3s; kube_version: v1.36.3+k3s1",
    ]
    assert rows["Without effect here"] == ["user_kubectl"]


def test_a_value_for_each_of_many_hosts_is_one_row():
    groups = {**KUBESPRAY, "kube_node": ["w-1", "w-2", "w-3"], "k8s_cluster": ["cp-1", "w-1", "w-2", "w-3"]}
    own = {host: {"ip": "10.0.0.1%d" % number} for number, host in enumerate(["cp-1", "w-1", "w-2", "w-3"], 1)}
    rows = dict(inventory.block(planned(groups, own)))
    assert rows["Translated"] == ["ip → kube_node_ip, a value for each of cp-1, w-1, w-2, w-3"]


def test_a_run_that_applies_the_plan_says_it_in_one_line():
    plan = planned(K3S, **GIVEN)
    text = [line.text for line in plan_text.lines(plan, brief=True)]
    assert "An inventory of k3s-ansible: 3 translated. `plan` shows them." in text
    assert not any("kube_api_sans" in line for line in text)


def test_the_page_has_the_block_and_our_own_inventories_have_none():
    assert "extra_server_args --tls-san" in plan_page.html(planned(K3S, **GIVEN))
    plan = planned({"kube_control_plane": ["cp-1"], "kube_node": ["w-1"]})
    assert plan["inventory"] is None and inventory.block(plan) == [] and inventory.brief(plan) == ""
    assert 'id="inventory"' not in plan_page.html(plan)


def test_names_with_the_same_reason_and_names_of_a_family_are_put_together():
    given = {
        "kubelet_feature_gates": {},
        "kubelet_seccomp_default": True,
        **dict.fromkeys(["calico_mtu", "calico_version", "calico_vxlan_mode", "calico_datastore"], 1),
        "kube_owner": "kube",
        "kube_ovn_mtu": 1400,
    }
    rows = dict(inventory.block(planned(KUBESPRAY, **given)))
    assert rows["Not taken over"] == ["kubelet_seccomp_default → set it in kubelet_config, if you need it"]
    assert rows["Without effect here"] == ["calico_* (4), kube_ovn_mtu, kube_owner, kubelet_feature_gates"]
    given["kubelet_feature_gates"] = {"x": True}
    assert dict(inventory.block(planned(KUBESPRAY, **given)))["Not taken over"] == [
        "kubelet_feature_gates, kubelet_seccomp_default → set it in kubelet_config, if you need it"
    ]
