# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The action plugin backup: pieces become one file, nothing stays on the node, and no secret is shown."""

from __future__ import annotations

import base64
import os
from types import SimpleNamespace

import pytest
from ansible import context
from ansible.errors import AnsibleActionFail
from ansible_collections.kubewright.cluster.plugins.action.backup import ActionModule
from ansible_collections.kubewright.cluster.plugins.module_utils.backup import make
from ansible_collections.kubewright.cluster.plugins.module_utils.backup.kubeadm import Part
from ansible_collections.kubewright.cluster.plugins.plugin_utils.controller import age, archives

CLUSTER = {"name": "prod", "ca_sha256": "aa", "uid": "12345678-9"}
TASK = {"inventory_dir": "/nowhere"}


@pytest.fixture
def arguments(monkeypatch):
    """What was given with -e."""
    given = []
    monkeypatch.setattr(context, "CLIARGS", {"extra_vars": given})
    monkeypatch.setattr(age.Writer.__init__, "__defaults__", (2,))
    return given


@pytest.fixture
def node(tmp_path):
    """An archive on the node: (what the module returned, its pieces)."""
    manifest = {
        "format": make.FORMAT,
        "schema": make.SCHEMA,
        "created": "2026-11-29T12:00:00Z",
        "cluster": {**CLUSTER, "distribution": "kubeadm", "version": "v1.36.3"},
        "datastore": {"kind": "etcd", "revision": 7, "counts": {"secrets": 3}},
    }
    parts = []
    for name in ("pki/ca.crt", "pki/sa.pub", "etcd/snapshot.db"):
        path = tmp_path / name.replace("/", "_")
        path.write_bytes(os.urandom(1000))
        parts.append(Part(name, str(path), ""))
    packed = make.pack(str(tmp_path / "archive.tar.gz"), manifest, parts, {"kubeadm/kubeadm-config.yaml": "x"})
    data = (tmp_path / "archive.tar.gz").read_bytes()
    pieces = [data[at : at + 1500] for at in range(0, len(data), 1500)]
    answers = [{"piece": base64.b64encode(piece).decode()} for piece in pieces]
    return [{**packed, "manifest": manifest, "seconds": {}, "changed": True}, *answers, {"changed": True}]


@pytest.fixture
def backup(action, store, arguments, tmp_path):
    def make_one(answers, check_mode=False, **options):
        store.put("plan", "operation", {"name": "backup", "cluster": CLUSTER, "source": "cp-1"})
        variables = {**TASK, "backup_dir": str(tmp_path / "backups"), **options}
        made = action(ActionModule, answers=answers, variables=variables, check_mode=check_mode)
        made._connection._play_context = SimpleNamespace(no_log=False)
        return made, variables

    return make_one


def run(made):
    return made[0].run(task_vars=made[1])


def states(made):
    return [arguments["state"] for _module, arguments, _hidden in made[0].asked]


def test_pieces_become_an_archive_and_older_ones_go(backup, node, tmp_path):
    os.makedirs(tmp_path / "backups")
    old = tmp_path / "backups" / "prod-12345678-20260101T000000Z.tar.gz"
    old.write_text("")
    made = backup(node, backup_keep="1")
    result = run(made)
    assert result["changed"] and result["deleted"] == [str(old)] and result["size"] == node[0]["size"]
    assert os.listdir(tmp_path / "backups") == ["prod-12345678-20261129T120000Z.tar.gz"]
    assert archives.examine(result["path"]) == result["manifest"] == node[0]["manifest"]
    assert states(made) == ["created", *["read"] * (len(node) - 2), "absent"]
    assert all(hidden for _module, arguments, hidden in made[0].asked if arguments["state"] != "absent")
    assert "3 objects of 1 kinds" in made[0]._display.text()


def test_it_goes_to_all_destinations_and_the_one_that_fails_is_named(backup, node, store, tmp_path):
    (tmp_path / "file").write_text("")
    to = [{"directory": str(tmp_path / name)} for name in ("file", "good")]
    store.put("secret", "kube_backup", {"keep": 5, "to": to})
    made = backup(node)
    result = run(made)
    assert result["failed"] and result["id"] == "destination.refused"
    assert "missing at 1 of 2 destinations. %s/" % (tmp_path / "file") in result["msg"]
    assert archives.examine(str(tmp_path / "good" / os.path.basename(result["path"]))) == result["manifest"]
    assert os.path.exists(result["path"]) and "Sent to %s/good/" % tmp_path in made[0]._display.text()


def test_it_is_encrypted_with_the_passphrase_of_a_file(backup, node, tmp_path):
    (tmp_path / "pass").write_text("secret\n")
    result = run(backup(node, backup_passphrase_file=str(tmp_path / "pass")))
    assert result["path"].endswith(".age") and archives.examine(result["path"], "secret")


def test_nothing_stays_anywhere_if_it_fails(backup, node, tmp_path):
    for number, answer in (
        (0, {"failed": True, "msg": "no space"}),
        (2, {"failed": True, "msg": "lost"}),
        (2, {"piece": ""}),
    ):
        made = backup([*node[:number], answer, {"changed": True}])
        try:
            result = run(made)
            assert result["failed"] and result["id"] == "archive.damaged"
        except AnsibleActionFail as error:
            assert answer["msg"] in str(error)
        assert states(made)[-1] == "absent"
        assert not os.path.exists(tmp_path / "backups") or os.listdir(tmp_path / "backups") == []
        assert not made[0]._task.no_log and not made[0]._connection._play_context.no_log


def test_check_mode_asks_nobody(backup):
    made = backup([], check_mode=True)
    assert run(made)["changed"] and made[0].asked == []


def test_an_archive_is_examined(backup, node, tmp_path):
    path = run(backup(node))["path"]
    made = backup([], backup_check=path)
    assert not run(made)["changed"] and "is complete" in made[0]._display.text()
    with open(path, "r+b") as stream:
        stream.truncate(1000)
    assert run(backup([], backup_check=path))["id"] == "archive.cut_short"
    assert run(backup([], backup_check=str(tmp_path / "missing")))["id"] == "archive.unreadable"


def test_a_passphrase_on_the_command_line_is_refused(backup, arguments):
    for given in ("backup_passphrase=secret", '{"backup_passphrase": "secret"}', "x=y backup_passphrase=secret"):
        arguments[:] = [given]
        with pytest.raises(AnsibleActionFail) as found:
            run(backup([], backup_passphrase="secret"))
        assert "every user of this machine can read it" in str(found.value) and "=secret" not in str(found.value)
    arguments[:] = ["backup_passphrase_file=/x", "@vault.yml"]
    with pytest.raises(AnsibleActionFail, match="/x cannot be read"):
        run(backup([], backup_passphrase_file="/x"))
