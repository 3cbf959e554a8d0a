# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What modules write to a node's journal, into their results and into diffs: no secret."""

from __future__ import annotations

import base64
import json
import os

import pytest
from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.testing import patch_module_args
from ansible_collections.kubewright.cluster.plugins.module_utils.node import paths
from ansible_collections.kubewright.cluster.plugins.modules import (
    artifacts,
    cluster_objects,
    files,
    k3s,
    kubeadm,
    local_cluster,
)

MANIFEST = "apiVersion: v1\nkind: Secret\nmetadata: {name: db}\nstringData: {password: hunter2-SECRET}\n"
INVOCATIONS = [
    (files, {"files": [{"path": "/no/such/x", "content": MANIFEST, "owner": "no such user", "secret": True}]}),
    (cluster_objects, {"manifests": [{"name": "db", "content": MANIFEST}], "kubeconfig": "/no/admin.conf"}),
    (artifacts, {"items": [{"url": "u", "version": "1"}], "proxy": "http://u:hunter2-SECRET@proxy:3128"}),
    (kubeadm, {"state": "join", "config": MANIFEST}),
    (kubeadm, {"state": "join", "credentials": {"token": "hunter2-SECRET"}}),
    (local_cluster, {"vars": {"kube_registries": {"password": "hunter2-SECRET"}}, "cache": "/no", "name": "x"}),
    (k3s, {"state": "started", "credentials": {"token": "hunter2-SECRET"}}),
]


@pytest.fixture
def journal(monkeypatch):
    """What modules write to the journal."""
    written = []
    monkeypatch.setattr(AnsibleModule, "_log_to_syslog", lambda _self, text: written.append(text))
    monkeypatch.setattr("ansible.module_utils.basic.has_journal", False)
    return written


def no_engine(*_arguments):
    raise local_cluster.local_nodes.LocalError("there is no engine")


@pytest.mark.parametrize(("module", "arguments"), INVOCATIONS, ids=lambda item: getattr(item, "__name__", ""))
def test_a_module_shows_no_secret_that_it_was_given(module, arguments, journal, capsys, monkeypatch):
    monkeypatch.setattr(AnsibleModule, "run_command", lambda *_args, **_more: (1, "", "error: refused"))
    monkeypatch.setattr(cluster_objects, "WAIT_SECONDS", 0)
    monkeypatch.setattr(local_cluster, "choose_engine", no_engine)
    check = {"_ansible_check_mode": True, "_ansible_diff": True}
    with patch_module_args({**arguments, **check}), pytest.raises(SystemExit):
        module.main()
    shown = capsys.readouterr().out
    assert "invocation" in shown and "hunter2" not in shown and "hunter2" not in repr(journal)


@pytest.fixture
def put(run_module, record, me):
    return lambda **entry: run_module(files, files=[{**me, **entry}])


@pytest.mark.parametrize("mode", [0o600, 0o640])
def test_what_others_could_not_read_is_in_no_diff(put, tmp_path, mode):
    path = tmp_path / "config.yaml"
    path.write_text("token: hunter2\n")
    os.chmod(path, mode)
    assert "hunter2" not in repr(put(path=str(path), content="cluster-init: true\n", mode="0644")["diff"])


def test_a_login_that_was_readable_is_masked_in_the_diff(put, tmp_path):
    path = tmp_path / "hosts.toml"
    path.write_text('[host."https://u:hunter2@m.lan".header]\n  Authorization = "Basic aHVudGVyMg=="\n')
    os.chmod(path, 0o644)
    (diff,) = put(path=str(path), content="server = 'https://m.lan'\n")["diff"]
    assert "hunter2" not in diff["before"] and "aHVudGVyMg" not in diff["before"] and "m.lan" in diff["before"]
    assert diff["after"] == "server = 'https://m.lan'\n"


def test_what_nodes_joined_with_is_deleted_after_the_run():
    ours, theirs = (base64.b64encode(text.encode()).decode() for text in (paths.TOKEN_DESCRIPTION, "somebody's"))
    rows = [("bootstrap-token-a", ours), ("bootstrap-token-b", theirs), ("bootstrap-token-c", None)]
    listed = {
        "kind": "List",
        "items": [{"metadata": {"name": name}, "data": {"description": text} if text else {}} for name, text in rows],
    }
    asked = []

    class Cluster(cluster_objects.Cluster):
        def __init__(self):
            pass

        def kubectl(self, *arguments, **_more):
            asked.append(arguments)
            return 0, json.dumps(listed), ""

    Cluster().revoke_joins()
    assert asked[0][:4] == ("-n", "kube-system", "get", "secrets")
    assert asked[1] == (
        *("-n", "kube-system", "delete", "secrets", "--ignore-not-found"),
        *("kubeadm-certs", "bootstrap-token-a"),
    )
