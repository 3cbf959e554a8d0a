# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pathlib
import re

import pytest
import yaml
from ansible.errors import AnsibleFilterError
from ansible_collections.kubewright.cluster.plugins.filter import k3s
from ansible_collections.kubewright.cluster.plugins.plugin_utils.plan import planner
from ansible_collections.kubewright.cluster.tests.unit.plugins.plugin_utils.machines import inventory
from jinja2 import Environment

SIDECAR = pathlib.Path(k3s.__file__).with_name("k3s_config.yml")
FILE = re.compile(r"^ *# The file:\n((?: *# .*\n?)+)", re.M)


def examples():
    """(task, text of its file) of every documented example."""
    text = yaml.safe_load(SIDECAR.read_text(encoding="utf-8"))["EXAMPLES"]
    files = [re.sub(r"^ *# ", "", block, flags=re.M) for block in FILE.findall(text)]
    tasks = yaml.safe_load(text)
    assert len(files) == len(tasks)
    return [pytest.param(*pair, id=pair[0]["name"]) for pair in zip(tasks, files)]


@pytest.mark.parametrize(("task", "file"), examples())
def test_documented_examples_are_true(task, file):
    environment = Environment()
    environment.filters["kubewright.cluster.k3s_config"] = k3s.FilterModule().filters()["k3s_config"]
    content = environment.from_string(task["ansible.builtin.copy"]["content"])
    assert content.render(task.get("vars", {})) == file


def test_all_problems_are_in_one_message():
    with pytest.raises(AnsibleFilterError) as raised:
        k3s.k3s_config({"clusterinit": True, "debug": "yes", "no-deploy": ["traefik"], "tls-san": ["x"]}, "agent")
    message = str(raised.value)
    for part in (
        "did you mean cluster-init?",
        "K3s needs true or false here, got 'yes'",
        "use disable",
        "setting of servers only",
    ):
        assert part in message
    assert message.startswith("k3s_config: clusterinit: K3s has no setting")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (({}, "master"), "got 'master'"),
        (({}, "server", "new"), "'new' is not a version"),
        (({}, "server", "1.28.3"), "1.30 and later"),
        ((["debug"],), "expected a map"),
        (({"write-kubeconfig-name": "home"}, "server", "1.36.3"), "needs 1.37.0 or later"),
    ],
)
def test_wrong_input_is_told_with_the_filters_name(arguments, said):
    with pytest.raises(AnsibleFilterError, match=re.escape(said)) as raised:
        k3s.k3s_config(*arguments)
    assert str(raised.value).startswith("k3s_config: ")


def test_it_knows_what_the_plan_sets_too():
    text = k3s.k3s_config({"server": "https://10.0.0.10:6443", "token": "hush", "node-name": "w-1"}, "agent", "1.37")
    assert yaml.safe_load(text) == {"server": "https://10.0.0.10:6443", "token": "hush", "node-name": "w-1"}
    assert k3s.k3s_config({}) == ""


def test_secret_files_of_a_host():
    hosts, groups = inventory(1, 1, {"kube_distribution": "k3s"})
    plan = planner.cluster_plan(hosts, groups)
    variables = {"kube_distribution": "k3s", "k3s_config": {"vpn-auth": "hunter2"}}
    (entry,) = k3s.k3s_secret_files(plan, "cp-1", variables)
    assert entry["mode"] == "0600" and "hunter2" in entry["content"]
    assert k3s.k3s_secret_files(plan, "w-1", {"kube_distribution": "k3s"}) == []
