# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Ranges and forms: what cannot work is refused, with the input, the value and the way out; what can is accepted."""

from __future__ import annotations

import pytest
from ansible_collections.kubewright.cluster.plugins.plugin_utils.inputs import formats, schema
from ansible_collections.kubewright.cluster.tests.unit.plugins.plugin_utils.findings import ids

GOOD = {
    "kube_version": ["1.36", "1.36.3", "v1.36.3", "v1.36.3+k3s1", ""],
    "kube_cluster_name": ["kubernetes", "prod-1", "Lab.eu_1"],
    "kube_cluster_domain": ["cluster.local", "k8s.example.com"],
    "kube_api_endpoint": [
        {},
        {"mode": "external", "address": "api.example.com", "port": 6443},
        {"address": "192.0.2.10", "virtual_router_id": 255},
        {"address": "2001:db8::10"},
    ],
    "kube_api_port": [6443, "8443", 443],
    "kube_api_sans": [["api.example.com", "*.example.com", "192.0.2.7"]],
    "kube_pod_cidrs": [["10.244.0.0/16"], ["10.244.0.0/16", "fd00:1::/56"]],
    "kube_node_name": ["", "w-1", "w1.example.com"],
    "kube_node_ip": ["10.0.0.5", "eth1", "10.0.0.0/24", "10.0.0.5,fd00::5", "enp3s0.100"],
    "kube_node_taints": [["a=b:NoSchedule", "example.com/gpu:NoExecute"], []],
    "kube_artifacts": [
        {"source": "upstream"},
        {"source": "/srv/mirror"},
        {"source": "./mirror"},
        {"source": "https://mirror.example/k8s"},
        {"versions": {"containerd": "2.2.9"}, "checksums": {"https://x.example/y": "0" * 64}},
    ],
    "kube_http_proxy": [
        {"http": "http://proxy:3128"},
        {"https": "http://user:secret@proxy:3128", "no_proxy": [".example.com", "10.0.0.0/8", "host", "fd00::/8"]},
    ],
    "kube_data_dir": ["", "/data", "/var/lib"],
    "kube_reserved": [{"kube_memory": "500Mi", "kube_cpu": "250m"}, {"system_memory": "1.5Gi", "system_cpu": "0.5"}],
    "kubelet_config": [{"maxPods": 100, "evictionHard": {"memory.available": "5%"}}, {"zzzBrandNew": 1}],
    "kube_manifests": [[{"name": "a", "content": "apiVersion: v1\nkind: Namespace\nmetadata: {name: x}\n---\n"}]],
    "kube_workers_at_once": ["1", "20%", "100%", 3],
    "kube_clock_tolerance": [30, 0.5],
    "kubeadm_timeout": [0, 900],
    "k3s_install_script": [{"checksum": "a" * 64, "url": "https://get.k3s.io"}],
    "k3s_server_url": ["", "https://k3s.example.com:6443"],
    "k3s_helm_charts": [[{"name": "lb", "repo": "https://charts.example", "namespace": "lb", "timeout": "10m"}]],
}
BAD = {
    "kube_version": ["9.9.9", "2.0", "latest", "1"],
    "kube_cluster_name": ["My Cluster!", "", "-a", "a" * 64],
    "kube_cluster_domain": [".local.", "Cluster.Local", "", "a..b"],
    "kube_api_endpoint": [
        {"mode": "external", "address": "https://api.example.com"},
        {"port": 0},
        {"port": 99999},
        {"port": 10250},
        {"virtual_router_id": 300},
        {"virtual_router_id": 0},
        {"address": "10.0.0"},
        {"address": "a b"},
        {"mode": "vipp"},
        {"prot": 1},
    ],
    "kube_api_port": [0, -1, 65536, 99999, 10250, 2379, "https", 6443.5, True],
    "kube_api_sans": [["https://api.example.com"], ["a b"], "a b"],
    "kube_pod_cidrs": [["10.244.0.5/16"], ["pods"], ["10.244.0.0/33"], [5]],
    "kube_node_name": ["UPPER", "a_b", "-a"],
    "kube_node_ip": ["10.0.0", "300.1.1.1", "10.0.0.5/24", "a very long interface name"],
    "kube_node_taints": [["gpu"], ["a=b:Never"], [{"key": "a"}]],
    "kube_artifacts": [
        {"source": "mirror.example"},
        {"source": "ftp://mirror.example"},
        {"versions": {"containerd": "nope"}},
        {"checksums": {"https://x.example/y": "abc"}},
    ],
    "kube_http_proxy": [
        {"http": "proxy:3128"},
        {"http": "socks5://proxy"},
        {"no_proxy": ["http://a"]},
        {"no_proxy": ["10.0.0.1/8"]},
    ],
    "kube_data_dir": ["data", "/", "//", "/data/../etc", "~/data"],
    "kube_reserved": [{"kube_memory": "500MB"}, {"kube_memory": "lots"}, {"kube_cpu": "-1"}],
    "kubelet_config": [{"maxPod": 100}, {"evictonHard": {}}],
    "kube_manifests": [
        [{"name": "A_B", "src": "x.yml"}],
        [{"name": "a", "content": "{{{"}],
        [{"name": "a", "content": "just text"}],
        [{"src": "x.yml"}],
        ["text"],
    ],
    "kube_workers_at_once": ["0", "120%", "some", ""],
    "kube_clock_tolerance": [-5, 0, 1e9],
    "kubeadm_timeout": [-1],
    "k3s_install_script": [{"checksum": "abc"}, {"url": "get.k3s.io"}],
    "k3s_server_url": ["http://k3s.example.com:6443", "k3s.example.com"],
    "k3s_helm_charts": [
        [{"name": "LB"}],
        [{"name": "lb", "repo": "charts.example"}],
        [{"name": "lb", "timeout": "ten"}],
    ],
}


def cases(table):
    return [
        pytest.param(name, value, id="%s-%s" % (name, str(value)[:30]))
        for name, values in table.items()
        for value in values
    ]


@pytest.mark.parametrize(("name", "value"), cases(GOOD))
def test_what_can_work_is_accepted(name, value):
    _values, problems = schema.validate({name: value})
    assert problems == []


@pytest.mark.parametrize(("name", "value"), cases(BAD))
def test_what_cannot_work_is_one_refusal_with_the_name_and_a_way_out(name, value):
    _values, problems = schema.validate({name: value})
    assert (
        len(problems) == 1 and problems[0].text.startswith((name, "unknown")) and problems[0].id.startswith("inputs.")
    )


def test_everything_is_said_at_once():
    _values, problems = schema.validate(
        {
            "kube_verson": "1.36",
            "kube_api_port": 99999,
            "kube_swap": "maybe",
            "kube_api_endpoint": {"prot": 1},
            "kube_reserved": "x",
        }
    )
    assert sorted(ids(problems)) == [
        "inputs.choice",
        "inputs.format",
        "inputs.type",
        "inputs.unknown",
        "inputs.unknown",
    ]


def test_text_stands_for_what_it_plainly_is():
    values, problems = schema.validate(
        {
            "kube_api_port": " 8443 ",
            "kube_allow_reboot": "yes",
            "kube_swap": False,
            "kube_needs": "air_gap, many_nodes",
            "kube_clock_tolerance": "2.5",
        }
    )
    assert problems == []
    assert (values["kube_api_port"], values["kube_allow_reboot"], values["kube_swap"]) == (8443, True, "off")
    assert (values["kube_needs"], values["kube_clock_tolerance"]) == (["air_gap", "many_nodes"], 2.5)


def test_every_value_has_its_default():
    values, problems = schema.validate({})
    assert problems == [] and values["kube_api_endpoint"]["mode"] is None and values["kube_kubeconfig"]["fetch"] is True


@pytest.mark.parametrize(
    "inputs",
    [
        {"k3s_token": ["hunter2"]},
        {"k3s_datastore_endpoint": {"password": "hunter2"}},
        {"kube_registries": "hunter2"},
        {"kube_http_proxy": {"http": "hunter2@proxy"}},
        {"kube_manifests": [{"name": "a", "content": "hunter2"}]},
        {"kube_manifests": ["hunter2"]},
        {"k3s_helm_charts": [{"name": "a", "values": "hunter2"}]},
    ],
)
def test_no_secret_is_in_a_message(inputs):
    _values, problems = schema.validate(inputs)
    assert problems and "hunter2" not in repr(problems)


def test_misspelt_options_of_playbooks():
    found = schema.unknown(
        [
            "reset_keep_image",
            "verify_fial",
            "plan_htm",
            "local_nam",
            "reset_confirm",
            "plan_json",
            "other",
        ]
    )
    assert [finding.value for finding in found] == ["local_nam", "plan_htm", "reset_keep_image", "verify_fial"]
    assert "did you mean reset_keep_images?" in found[2].text


def test_every_format_belongs_to_an_input():
    known = {**schema.specification(), **schema.run_specification()}
    assert not [
        path for path in formats.FORMATS if path.replace("[", ".").replace("{", ".").partition(".")[0] not in known
    ]
