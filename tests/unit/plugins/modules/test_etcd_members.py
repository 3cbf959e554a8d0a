# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""etcd_members: only the cluster's own etcd, errors as sentences, check mode."""

from __future__ import annotations

import pytest
from ansible_collections.kubewright.cluster.plugins.modules import etcd_members

HOST = {"host": "cp-3", "name": "cp-3", "addresses": ["10.0.0.3"]}


class Etcd:
    cluster_id = "7"
    own_only = False

    def __init__(self):
        self.list = [{"ID": name[-1], "name": name, "clientURLs": ["x"], "peerURLs": []} for name in ("cp-1", "cp-3")]

    def members(self):
        return list(self.list)

    def status(self, _member):
        return {"header": {"cluster_id": "7"}}

    def remove(self, number):
        self.list = [member for member in self.list if member["ID"] != number]


@pytest.fixture
def etcd(tmp_path, monkeypatch):
    made = Etcd()
    monkeypatch.setattr(etcd_members.etcd, "access", lambda: {"servers": "https://127.0.0.1:2379"})
    monkeypatch.setattr(etcd_members.etcd, "connect", lambda _how, timeout: made)
    monkeypatch.setattr(etcd_members.paths, "MANIFESTS", str(tmp_path))
    monkeypatch.setattr(etcd_members.paths, "API_SERVER_MANIFEST", str(tmp_path / "kube-apiserver.yaml"))
    return made


def test_a_member_is_removed_once_and_in_check_mode_only_named(run_module, etcd):
    checked = run_module(etcd_members, check=True, leaving=[HOST])
    assert checked["removed"] == ["remove the etcd member of cp-3"] and len(etcd.list) == 2
    done = run_module(etcd_members, leaving=[HOST])
    assert done["changed"] and done["removed"] == checked["removed"] and len(etcd.list) == 1
    assert not run_module(etcd_members, leaving=[HOST])["changed"]


def test_an_external_etcd_is_left_alone(run_module, etcd, tmp_path):
    (tmp_path / "kube-apiserver.yaml").write_text("--etcd-servers=https://etcd.example:2379")
    assert not run_module(etcd_members, leaving=[HOST])["changed"] and len(etcd.list) == 2
    (tmp_path / "etcd.yaml").write_text("")
    assert run_module(etcd_members, leaving=[HOST])["changed"]


def test_an_etcd_that_does_not_answer_fails_it(run_module, etcd):
    def refuse():
        raise OSError("connection refused")

    etcd.members = refuse
    failed = run_module(etcd_members, leaving=[HOST])
    assert failed["failed"] and "etcd does not answer: connection refused. Nothing was reset." in failed["msg"]


def test_a_host_without_a_control_plane_is_not_taken_for_one_without_etcd(run_module, etcd, monkeypatch):
    """Its manifest may be moved away: that the member stays in the cluster must not be found out after the reset."""
    monkeypatch.setattr(etcd_members.etcd, "access", dict)
    monkeypatch.setattr(etcd_members.paths, "here", etcd_members.paths.Kubeadm)
    failed = run_module(etcd_members, leaving=[HOST])
    assert failed["failed"] and "Nothing was reset" in failed["msg"] and len(etcd.list) == 2


def test_a_lost_majority_fails_it(run_module, etcd):
    failed = run_module(etcd_members, leaving=[HOST, {**HOST, "host": "cp-1", "name": "cp-1"}])
    assert failed["failed"] and "no other etcd member" in failed["msg"] and len(etcd.list) == 2
