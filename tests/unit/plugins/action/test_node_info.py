# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The look's action plugin: inputs of the host's variables, failures as sentences, hosts that --limit leaves out."""

from __future__ import annotations

import pytest
from ansible.errors import AnsibleConnectionFailure
from ansible.template import trust_as_template
from ansible_collections.kubewright.cluster.plugins.action import node_info
from ansible_collections.kubewright.cluster.tests.unit.plugins.action.conftest import HostVars

FACTS = {"changed": False, "node": {"hostname": "cp1", "busy": False}}
GROUPS = {"all": ["cp1", "w1"], "kube_control_plane": ["cp1"], "kube_node": ["w1"]}


def variables(host="cp1", **more):
    hostvars = HostVars({"cp1": {"ansible_host": "10.0.0.1"}, "w1": {"ansible_host": "10.0.0.2", "kube_swap": "keep"}})
    given = {name: trust_as_template(value) if isinstance(value, str) else value for name, value in more.items()}
    return {**hostvars[host], "inventory_hostname": host, "groups": GROUPS, "hostvars": hostvars, **given}


def look(action, store, host="cp1", answers=(FACTS,), args=None, **more):
    given = variables(host, **more)
    made = action(node_info.ActionModule, {"keep": True, **(args or {})}, answers, given)
    return made.run(task_vars=given), store.get("look", (args or {}).get("host", host)), made


def test_inputs_are_the_hosts_own_variables(action, store):
    result, kept, made = look(
        action, store, kube_version="1.3{{ minor }}", minor=5, kube_unheard="{{ never }}", other="{{ never }}"
    )
    assert result == {"changed": False}
    assert kept["inputs"]["kube_version"] == "1.35" and kept["inputs"]["kube_unheard"] is None
    assert kept["info"]["hostname"] == "cp1" and kept["problems"] == [] and kept["error"] is None


def test_arguments_follow_from_the_inputs(action, store):
    given = {"kube_data_dir": "/srv", "k3s_binary": "/opt/k3s", "k3s_datastore_endpoint": "mysql://u:p@tcp(db:3306)/k"}
    _result, _kept, made = look(action, store, **given)
    arguments = made.asked[0][1]
    assert arguments["address_probes"] == ["10.0.0.1", "10.0.0.2"] and arguments["programs"] == {"k3s": "/opt/k3s"}
    assert "/srv/containerd" in arguments["data_paths"] and arguments["reach"] == ["db:3306"]
    _result, _kept, made = look(action, store, host="w1", **given)
    assert made.asked[0][1]["reach"] == []  # only servers use the database


def test_a_variable_that_cannot_be_evaluated_is_a_problem(action, store):
    _result, kept, _made = look(action, store, kube_version="{{ nowhere }}")
    assert (
        len(kept["problems"]) == 1
        and kept["problems"][0].startswith("kube_version: ")
        and "nowhere" in kept["problems"][0]
    )


def test_misspelt_inputs_of_playbooks_are_a_problem(action, store):
    _result, kept, _made = look(action, store, reset_keep_image=True)
    assert "reset_keep_image" in kept["problems"][0]


@pytest.mark.parametrize(
    "answer, text",
    [
        (AnsibleConnectionFailure("ssh: no route"), "cannot be reached: ssh: no route"),
        ({"failed": True, "msg": "Missing sudo password"}, "Run with -K"),
        (
            {
                "failed": True,
                "msg": "Module result deserialization failed",
                "module_stderr": "x\npyenv: python3: command not found\n",
            },
            "pyenv: python3: command not found. Install python3",
        ),
        (
            {"failed": True, "msg": "The module interpreter '/usr/bin/python3' was not found."},
            "ansible_python_interpreter",
        ),
        (
            {
                "failed": True,
                "msg": "x",
                "module_stderr": "Traceback:\nModuleNotFoundError: No module named 'shutil'\n",
            },
            "Python does not work there: ModuleNotFoundError: No module named 'shutil'. Install python3",
        ),
        (
            {
                "failed": True,
                "msg": "MODULE FAILURE",
                "module_stderr": "Shared connection to 10.0.0.1 closed.\r\n",
                "module_stdout": "/bin/sh: 1: /usr/bin/python3: not found\r\n",
            },
            "Python does not work there: /bin/sh: 1: /usr/bin/python3: not found. Install python3",
        ),
        (
            {"failed": True, "msg": "ansible-core requires a minimum of Python version 3.8. Current version: 3.6.8"},
            "Current version: 3.6.8. It needs Python 3.8 or newer. Install python3",
        ),
        ({"failed": True, "msg": "Task failed: Incorrect sudo password"}, "Correct ansible_become_password"),
        ({"failed": True, "msg": "x", "module_stderr": "sudo: a password is required\n"}, "Run with -K"),
        ({"failed": True, "msg": "[Errno 28] No space left on device: '/root/.ansible'"}, "Free some space"),
        ({"failed": True, "msg": "x", "module_stderr": "KeyError: 'a'\n"}, "could not be looked at: KeyError: 'a'"),
        ({"failed": True, "msg": "\n"}, "could not be looked at: no answer"),
        (node_info._NoAnswer(), "no answer within 60 seconds"),
    ],
)
def test_failures_are_kept_for_the_plan(action, store, answer, text):
    result, kept, _made = look(action, store, answers=[answer])
    assert not result.get("failed") and text in kept["error"] and kept["info"] is None


def test_a_busy_node_is_waited_for(action, store, monkeypatch):
    monkeypatch.setattr(node_info.time, "sleep", lambda _seconds: None)
    busy = {"changed": False, "node": {"busy": True}}
    _result, kept, made = look(action, store, answers=[busy, busy, FACTS])
    assert kept["info"]["busy"] is False and len(made.asked) == 3 and len(made._display.lines) == 1


def test_hosts_left_out_are_looked_at_with_their_own_inputs_and_those_of_the_play(action, store):
    _result, kept, made = look(action, store, args={"host": "w1"}, kube_version="1.35")
    assert kept["inputs"] == {"kube_swap": "keep", "kube_version": "1.35"}
    assert made.asked[0][1]["address_probes"] == ["10.0.0.1", "10.0.0.2"]


def test_without_keep_it_is_the_module(action, store):
    made = action(node_info.ActionModule, {"paths": ["/etc/hosts"]}, [FACTS])
    assert made.run(task_vars=variables())["node"] == FACTS["node"] and made.asked[0][1] == {"paths": ["/etc/hosts"]}


def test_a_result_that_may_be_printed_has_no_key_for_the_digests(action, store):
    applied = {"key": "ab", "digests": {"web": "cd"}}
    facts = {"node": {"cluster": {"live": {"applied": applied}}}}
    result, _kept, _made = look(action, store, answers=(facts,), args={"keep": False})
    assert result["node"]["cluster"]["live"]["applied"] == {"digests": {"web": "cd"}}
