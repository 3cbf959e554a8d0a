# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An inventory of Kubespray from its variables to the printed plan and the written inputs, with real templates."""

from __future__ import annotations

import os

import pytest
import yaml
from ansible.errors import AnsibleActionFail
from ansible.template import trust_as_template
from ansible_collections.kubewright.cluster.plugins.action import node_info, plan
from ansible_collections.kubewright.cluster.tests.unit.plugins.action.conftest import HostVars
from ansible_collections.kubewright.cluster.tests.unit.plugins.plugin_utils.machines import machine

GROUPS = {
    "all": ["cp-1", "w-1"],
    "kube_control_plane": ["cp-1"],
    "kube_node": ["cp-1", "w-1"],
    "etcd": ["cp-1"],
    "k8s_cluster": ["cp-1", "w-1"],
}
ADDRESSES = {"cp-1": "10.0.0.11", "w-1": "10.0.0.12"}


def run(action, store, shared, **arguments):
    """Look at both hosts and plan. Return (result, printed lines)."""
    given = {name: trust_as_template(value) if isinstance(value, str) else value for name, value in shared.items()}
    hostvars = HostVars({host: {"ansible_host": address, **given} for host, address in ADDRESSES.items()})
    for host, address in ADDRESSES.items():
        variables = {**hostvars[host], "inventory_hostname": host, "groups": GROUPS, "hostvars": hostvars}
        facts = {**machine(host, address), "busy": False, "user": {"name": "root", "uid": 0}}
        made = action(node_info.ActionModule, {"keep": True}, [{"changed": False, "node": facts}], variables)
        made.run(task_vars=variables)
    variables = {"groups": GROUPS, "hostvars": hostvars, "ansible_play_hosts_all": list(ADDRESSES)}
    made = action(plan.ActionModule, {"refuse": False, "show": "all", **arguments}, variables=variables)
    return made.run(task_vars=variables), [line for line, _colour in made._display.lines]


def test_a_block_at_the_top_says_what_became_of_each_name(action, store):
    given = {
        "kube_pods_subnet": "10.{{ 200 + 33 }}.64.0/18",
        "kube_network_plugin": "calico",
        "metallb_enabled": True,
        "kube_owner": "kube",
        "kube_of_their_own": 1,
        "http_proxy": "http://user:s3cret@proxy.example:3128",
    }
    result, printed = run(action, store, given)
    text = "\n".join(printed)
    assert printed[0].startswith("An inventory of Kubespray")
    block = text[: text.index("luster kubernetes:")]
    for part in (
        'kube_pods_subnet → kube_pod_cidrs: ["10.233.64.0/18"]',
        "http_proxy → kube_http_proxy.http",
        "Needs a decision, refused below: kube_network_plugin",
        "metallb_enabled → not installed: MetalLB",
        "Without effect here: kube_owner",
        "Unknown, and not read: kube_of_their_own",
    ):
        assert part in block
    assert len(result["refusals"]) == 1 and result["refusals"][0].startswith("kube_network_plugin: ")
    assert "s3cret" not in text


def test_a_lookup_in_a_name_that_is_not_taken_does_not_run(action, store, tmp_path):
    path = tmp_path / "certificate_key"
    given = {
        "kubeadm_certificate_key": "{{ lookup('ansible.builtin.password', '%s length=64') }}" % path,
        "kubelet_of_theirs": "{{ lookup('ansible.builtin.password', '%s length=64') }}" % path,
        "somebody_elses": "{{ lookup('ansible.builtin.password', '%s length=64') }}" % path,
        "kube_pods_subnet": "{{ nowhere }}",
    }
    result, _printed = run(action, store, given)
    assert not path.exists() and os.listdir(tmp_path) in ([], ["local"])
    assert len(result["refusals"]) == 1 and result["refusals"][0].startswith("kube_pods_subnet: ")


def test_facts_are_left_to_the_plan_and_named_otherwise(action, store):
    result, _printed = run(action, store, {"ip": "{{ ansible_default_ipv4.address }}", "kube_owner": "kube"})
    assert result["refusals"] == []
    result, _printed = run(action, store, {"kube_pods_subnet": "{{ ansible_default_ipv4.network }}/16"})
    assert len(result["refusals"]) == 1 and "kube_pods_subnet" in result["refusals"][0]


def test_names_that_the_project_sets_itself_have_its_defaults(action, store):
    result, printed = run(action, store, {"dns_domain": "{{ cluster_name }}", "kube_owner": "kube"})
    assert result["refusals"] == [] and any("kube_cluster_domain: cluster.local" in line for line in printed)


def test_the_cluster_is_written_in_our_inputs(action, store, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    given = {
        "kube_pods_subnet": "10.233.64.0/18",
        "http_proxy": "http://user:s3cret@proxy.example:3128",
        "containerd_registry_auth": [{"registry": "r.example", "username": "u", "password": "s3cret"}],
        "ansible_user": "admin",
        "ansible_password": "s3cret",
    }
    run(action, store, given, inputs="inventory.yml")
    path = tmp_path / "inventory.yml"
    text = path.read_text()
    assert path.stat().st_mode & 0o777 == 0o600 and "s3cret" not in text and "ansible_password" not in text
    assert "#   vault_kube_http_proxy_http: kube_http_proxy.http" in text
    written = yaml.safe_load(text)["all"]
    assert written["vars"]["kube_pod_cidrs"] == ["10.233.64.0/18"] and written["vars"]["ansible_user"] == "admin"
    assert written["vars"]["kube_http_proxy"] == {"http": "{{ vault_kube_http_proxy_http }}"}
    assert written["vars"]["kube_registries"]["configs"]["r.example"]["username"] == "u"
    hosts = written["children"]["kube_control_plane"]["hosts"]
    assert hosts == {"cp-1": {"ansible_host": "10.0.0.11"}}
    assert list(written["children"]["kube_node"]["hosts"]) == ["cp-1", "w-1"]
    run(action, store, {**given, "kube_pods_subnet": "10.1.0.0/16"}, inputs="inventory.yml")  # ours: written again
    assert "10.1.0.0/16" in path.read_text()


def test_what_was_written_is_the_same_cluster(action, store, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    given = {"kube_pods_subnet": "10.233.64.0/18", "kubelet_max_pods": 200, "kube_version": "v1.36.3"}
    _result, first = run(action, store, given, inputs="inventory.yml")
    written = yaml.safe_load((tmp_path / "inventory.yml").read_text())["all"]["vars"]
    _result, second = run(action, store, written)
    start = next(number for number, line in enumerate(first) if line.startswith("New cluster"))
    end = next(number for number, line in enumerate(second) if line.startswith("New cluster"))
    assert [line for line in first[start:] if "inventory.yml" not in line] == second[end:]


def test_a_file_of_somebody_else_is_not_replaced(action, store, tmp_path):
    path = tmp_path / "hosts.yml"
    path.write_text("all: {}\n")
    with pytest.raises(AnsibleActionFail, match="was not made by write_inputs"):
        run(action, store, {"kube_owner": "kube"}, inputs=str(path))
    assert path.read_text() == "all: {}\n"
