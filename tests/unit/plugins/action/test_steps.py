# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Action plugins that carry a node's steps out: parts of a node, joins of kubeadm and K3s, the kubeconfig."""

from __future__ import annotations

import base64

import pytest
from ansible.errors import AnsibleActionFail, AnsibleConnectionFailure
from ansible_collections.kubewright.cluster.plugins.action import k3s, kubeadm, kubeconfig, node_parts
from ansible_collections.kubewright.cluster.plugins.plugin_utils.machine import backup_program
from ansible_collections.kubewright.cluster.tests.unit.plugins.action.conftest import HostVars

HOST = {"inventory_hostname": "cp1", "groups": {"kube_control_plane": ["cp1"]}, "hostvars": HostVars()}
NODE = {
    "host": "cp1",
    "joined": False,
    "steps": {"credentials": [], "containerd": [], "kubelet": []},
    "files": {"containerd": [{"path": "/a"}], "kubelet": [{"path": "/b"}], "endpoint": [{"path": "/c"}], "network": []},
    "services": {"containerd": "started", "kubelet": "enabled"},
}
WRITTEN = {"changed": True, "changed_paths": ["/a"], "diff": [{"after": "x"}]}


def test_parts_are_written_together_and_started_in_order(action, store):
    store.put("node", "cp1", NODE)
    store.put("secret", "cp1", {"files": [{"path": "/s", "content": "hunter2"}]})
    made = action(
        node_parts.ActionModule,
        {"parts": ["kubelet", "containerd"]},
        [WRITTEN, WRITTEN, {"changed": True}, {"changed": False}],
    )
    result = made.run(task_vars=HOST)
    assert [name.rpartition(".")[2] for name, _args, _no_log in made.asked] == [
        "files",
        "files",
        "systemd_service",
        "systemd_service",
    ]
    assert [no_log for _name, _args, no_log in made.asked] == [True, False, False, False]
    assert [entry["path"] for entry in made.asked[1][1]["files"]] == ["/a", "/b"]
    assert made.asked[2][1]["state"] == "started" and "state" not in made.asked[3][1]
    assert result["changed"] and len(result["diff"]) == 1 and "hunter2" not in str(result)


def test_a_service_that_goes_is_stopped_before_its_unit_is_removed(action, store):
    gone = {"path": "/etc/systemd/system/kube-endpoint.service", "state": "absent", "secret": True}
    node = {**NODE, "joined": True, "steps": {"endpoint": []}, "files": {"endpoint": [gone]}}
    store.put("node", "cp1", {**node, "services": {"kube-endpoint": "stopped"}})
    made = action(node_parts.ActionModule, {"parts": ["endpoint"]}, [{"changed": True}, WRITTEN])
    made.run(task_vars=HOST)
    assert [name.rpartition(".")[2] for name, _args, _no_log in made.asked] == ["systemd_service", "files"]
    assert made.asked[0][1] == {"name": "kube-endpoint", "enabled": False, "daemon_reload": False, "state": "stopped"}


def test_scheduled_backups_are_written_with_their_program_and_without_their_logins(action, store):
    program = {"path": "/p", "mode": "0600", "sha256": "0", "built": "backup_program"}
    timer = {"path": "/t", "content": "[Timer]", "mode": "0644"}
    node = {**NODE, "joined": True, "steps": {"backup": []}, "files": {"backup": [program, timer]}}
    store.put("node", "cp1", {**node, "services": {"kube-backup.timer": "restarted"}})
    store.put("secret", "cp1", {"files": [{"path": "/s", "content": "hunter2"}]})
    made = action(node_parts.ActionModule, {"parts": ["kubelet", "backup"]}, [WRITTEN, WRITTEN, {"changed": True}])
    result = made.run(task_vars=HOST)
    assert [no_log for _name, _args, no_log in made.asked] == [True, False, False]
    first, second = made.asked[1][1]["files"]
    assert (first["path"], first["encoding"], second) == ("/p", "base64", timer)
    assert base64.b64decode(first["content"]) == backup_program.content()
    assert made.asked[2][1]["name"] == "kube-backup.timer" and made.asked[2][1]["daemon_reload"]
    assert "hunter2" not in str(result) and first["content"] not in str(result)


def test_scheduled_backups_that_go_are_stopped_and_forgotten_first(action, store):
    gone = {"path": "/etc/kubewright/backup/kube-backup.pyz", "state": "absent", "secret": True}
    node = {**NODE, "joined": True, "steps": {"backup": []}, "files": {"backup": [gone]}}
    store.put("node", "cp1", {**node, "services": {"kube-backup.timer": "stopped"}})
    silent = {"failed": True, "msg": "the API does not answer"}
    made = action(node_parts.ActionModule, {"parts": ["backup"]}, [{"changed": True}, silent, WRITTEN])
    assert made.run(task_vars=HOST)["changed"]
    asked = [(name.rpartition(".")[2], args.get("state")) for name, args, _no_log in made.asked]
    assert asked == [("systemd_service", "stopped"), ("backup", "forgotten"), ("files", None)]


def test_parts_in_check_mode_start_nothing_new(action, store):
    store.put("node", "cp1", {**NODE, "steps": {"kubelet": []}})
    made = action(node_parts.ActionModule, {"parts": ["kubelet"]}, [WRITTEN], check_mode=True)
    assert made.run(task_vars=HOST)["changed"] and len(made.asked) == 1


def test_parts_need_a_plan_and_stop_at_a_failure(action, store):
    with pytest.raises(AnsibleActionFail, match="not planned yet"):
        action(node_parts.ActionModule, {"parts": ["kubelet"]}).run(task_vars=HOST)
    store.put("node", "cp1", NODE)
    made = action(node_parts.ActionModule, {"parts": ["kubelet"]}, [{"failed": True, "msg": "disk full"}])
    with pytest.raises(AnsibleActionFail, match="disk full"):
        made.run(task_vars=HOST)


def test_a_failed_join_of_kubeadm_is_tried_once_more(action, store):
    arguments = {"state": "join", "node_name": "cp1"}
    made = action(
        kubeadm.ActionModule, arguments, [{"joined": False, "changed": True}, {"joined": True, "changed": True}]
    )
    assert made.run(task_vars=HOST)["joined"] and made.asked[1][1]["last_try"]
    made = action(kubeadm.ActionModule, arguments, [{"joined": True, "changed": True}])
    assert made.run(task_vars=HOST)["joined"] and len(made.asked) == 1


JOINS = {
    kubeadm: {"state": "join", "control_plane": True},
    k3s: {"state": "started", "joins": True, "role": "server", "node_name": "x", "credentials": {"server": "s"}},
}
WORKER_JOINS = {
    kubeadm: {**JOINS[kubeadm], "control_plane": False},
    k3s: {**JOINS[k3s], "role": "agent"},
}
NO_QUORUM = {"failed": True, "msg": "no quorum"}
# What the modules answer when a join fails, by distribution and by when it fails.
FAILING = {
    "kubeadm's last try": (kubeadm, [{"joined": False, "changed": True, "reason": "no quorum"}, NO_QUORUM]),
    "kubeadm before it joins": (kubeadm, [NO_QUORUM]),
    "kubeadm loses its host": (kubeadm, [AnsibleConnectionFailure("no route to host")]),
    "kubeadm loses its host later": (kubeadm, [{"joined": False, "reason": "x"}, AnsibleConnectionFailure("no route")]),
    "K3s": (k3s, [NO_QUORUM]),
    "K3s votes and is never ready": (k3s, [{"changed": True}, NO_QUORUM]),
    "K3s loses its host": (k3s, [AnsibleConnectionFailure("no route to host")]),
    "K3s loses its host later": (k3s, [{"changed": True}, AnsibleConnectionFailure("no route to host")]),
}


def join(made, host):
    return made.run(task_vars={**HOST, "inventory_hostname": host})


@pytest.mark.parametrize("when", FAILING)
def test_after_a_control_plane_that_failed_to_join_no_other_begins(action, store, when):
    plugin, answers = FAILING[when]
    made = action(plugin.ActionModule, JOINS[plugin], answers)
    try:
        result = join(made, "cp2")
        assert result["failed"] and result["msg"].startswith("cp2 did not join: no quorum\n")
        assert "run site again" in result["msg"]
    except AnsibleConnectionFailure:
        pass  # Ansible itself reports a host that it cannot reach
    assert len(made.asked) == len(answers)
    made = action(plugin.ActionModule, JOINS[plugin], [{"changed": True}])
    result = join(made, "cp3")
    assert result["failed"] and "because cp2 failed to join" in result["msg"] and made.asked == []
    # A worker has no etcd member to lose.
    made = action(plugin.ActionModule, WORKER_JOINS[plugin], [{"changed": True}, {"changed": False}])
    assert not join(made, "w1").get("failed") and made.asked


def test_a_control_plane_that_had_begun_when_another_failed_is_not_tried_again(action, store):
    made = action(
        kubeadm.ActionModule, JOINS[kubeadm], [{"joined": False, "changed": True, "reason": "too many learners"}]
    )
    execute = made._execute_module
    made._execute_module = lambda *given, **named: store.put("join", "failed", "cp2") or execute(*given, **named)
    result = join(made, "cp3")
    assert result["failed"] and "nothing was removed, because cp2" in result["msg"] and len(made.asked) == 1
    assert "too many learners" in result["msg"]


@pytest.mark.parametrize("plugin", [kubeadm, k3s])
def test_a_worker_that_fails_to_join_stops_no_control_plane(action, store, plugin):
    made = action(plugin.ActionModule, WORKER_JOINS[plugin], [NO_QUORUM])
    result = join(made, "w1")
    assert result["failed"] and "w1 did not join: no quorum" in result["msg"]
    assert "control plane" not in result["msg"]
    made = action(plugin.ActionModule, JOINS[plugin], [{"changed": True}, {"changed": False}])
    assert not join(made, "cp2").get("failed") and made.asked


@pytest.mark.parametrize("module", [kubeadm, k3s])
def test_check_mode_asks_for_no_credentials(action, store, module):
    made = action(module.ActionModule, {"state": "credentials"}, check_mode=True)
    assert made.run(task_vars=HOST)["credentials"] == {} and not made.asked


def test_k3s_takes_its_tokens_from_the_runs_files(action, store):
    store.put("secret", "cp1", {"token": "t", "join_token": "j"})
    made = action(k3s.ActionModule, {"state": "started", "init": True}, [{"changed": True}])
    made.run(task_vars=HOST)
    assert made.asked[0][1]["token"] == "t"
    arguments = {
        "state": "started",
        "node_name": "cp1",
        "role": "agent",
        "joins": True,
        "credentials": {},
        "until": "started",
    }
    made = action(k3s.ActionModule, arguments, [{"changed": True}, {"changed": False}])
    assert made.run(task_vars=HOST)["changed"]
    assert made.asked[0][1]["credentials"] == {"agent": "j"}
    assert made.asked[1][1] == {"node_name": "cp1", "role": "agent", "state": "started"}


def test_k3s_nodes_of_a_cluster_elsewhere_have_no_server_to_ask(action, store):
    store.put("plan", "cluster", {"leader": None})
    assert action(k3s.ActionModule, {"state": "credentials"}).run(task_vars=HOST)["credentials"] == {}


def test_the_kubeconfig_of_this_cluster_is_deleted_and_no_other(action, store, tmp_path):
    path = tmp_path / "kubeconfig"
    variables = {**HOST, "kube_kubeconfig": {"path": str(path)}, "kube_cluster_name": "one"}

    def delete(**more):
        return action(kubeconfig.ActionModule, {"state": "absent"}, variables=variables).run(
            task_vars={**variables, **more}
        )["changed"]

    assert not delete()
    path.write_text("# Made by kubewright.cluster.\ncurrent-context: two\n", encoding="utf-8")
    assert not delete()
    path.write_text("current-context: one\n", encoding="utf-8")
    assert not delete()
    path.write_text("# Made by kubewright.cluster.\ncurrent-context: one\n", encoding="utf-8")
    assert not delete(ansible_limit="w1") and path.exists()
    assert delete() and not path.exists()


@pytest.mark.parametrize(
    ("plugin", "arguments", "answers"),
    [
        (kubeadm, {"state": "join", "control_plane": True}, [{"joined": False, "reason": "etcd is busy"}]),
        (k3s, {"state": "started", "joins": True, "role": "server"}, []),
    ],
)
def test_a_join_that_does_not_end_is_not_waited_for_for_ever(action, store, monkeypatch, plugin, arguments, answers):
    class Turn:
        def __init__(self, name, host, seconds, say):
            assert host == "cp1" and seconds >= 420 and callable(say)
            self.text = "%s waited %d s for cp2, which did not end." % (host, seconds)

        def __enter__(self):
            raise plugin.TurnError(self.text)

        def __exit__(self, *_error):
            return None

    monkeypatch.setattr(plugin.RunStore, "turn", Turn)
    made = action(plugin.ActionModule, arguments, answers)
    result = made.run(task_vars=HOST)
    assert result["failed"] and "for cp2, which did not end" in result["msg"] and len(made.asked) == len(answers)
