# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The program of a control plane's timer: one archive for each time, at every destination, whoever is up."""

from __future__ import annotations

import contextlib
import json
import time

import pytest
from ansible_collections.kubewright.cluster.plugins.module_utils.api import backup_record
from ansible_collections.kubewright.cluster.plugins.module_utils.api.kubernetes import ApiError
from ansible_collections.kubewright.cluster.plugins.module_utils.backup import make, make_k3s, scheduled
from ansible_collections.kubewright.cluster.plugins.module_utils.node import downloads, ownership, paths
from ansible_collections.kubewright.cluster.tests.unit.plugins.module_utils.api.fake_api import FakeApi


class Cluster:
    """A control plane with two directories as destinations. made: how many archives it has made."""

    def __init__(self, root, monkeypatch):
        self.root, self.api, self.said, self.made = root, FakeApi(), [], 0
        self.error = ""
        monkeypatch.setattr(paths, "admin", lambda: __file__)
        monkeypatch.setattr(scheduled, "OUTGOING", str(root / "outgoing"))
        monkeypatch.setattr(scheduled, "api", lambda: self.api)
        monkeypatch.setattr(ownership, "lock_node", contextlib.nullcontext)
        monkeypatch.setattr(make, "clean", lambda: None)
        monkeypatch.setattr(make_k3s, "of_this_node", self.make)
        self.places = [str(root / "one"), str(root / "two")]

    def make(self, name):
        if self.error:
            raise make.BackupError(self.error)
        self.made += 1
        path = self.root / "archive.tar.gz"
        path.write_bytes(b"archive %d" % self.made)
        created = "2026-11-30T10:%02d:00Z" % self.made
        manifest = {"cluster": {"name": name, "uid": "12345678-9"}, "created": created}
        return {
            "path": str(path),
            "size": 2048,
            "sha256": downloads.sha256(str(path)),
            "manifest": manifest,
            "seconds": {},
        }

    def settings(self, **more):
        to = [{"directory": place} for place in self.places]
        return {"cluster": "prod", "schedule": "daily", "keep": 20, "to": to, "proxy": {}, **more}

    def run(self, node="cp-1", forced=False, **more):
        self.said = []
        return scheduled.run(self.settings(**more), forced, node, self.said.append)

    @property
    def record(self):
        return backup_record.read(self.api.objects.get(backup_record.PATH))

    def names(self, place):
        return sorted(path.name for path in (self.root / place).iterdir()) if (self.root / place).exists() else []


@pytest.fixture
def cluster(tmp_path, monkeypatch):
    return Cluster(tmp_path, monkeypatch)


def test_the_first_control_plane_makes_it_and_the_others_find_it(cluster):
    assert [cluster.run("cp-%d" % number) for number in (1, 2, 3)] == [0, 0, 0]
    name = "prod-12345678-20261130T100100Z.tar.gz"
    assert cluster.made == 1 and cluster.names("one") == cluster.names("two") == [name]
    assert "%s, made by cp-1" % name in cluster.said[0] and "--now" in cluster.said[0]
    assert cluster.record.good["node"] == "cp-1" and cluster.record.failure == {}
    assert set(cluster.record.places) == {place + "/" for place in cluster.places}
    assert not (cluster.root / "outgoing").exists()


def test_the_next_time_is_another_archive(cluster, monkeypatch):
    cluster.run("cp-1")
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now + 86400)
    assert cluster.run("cp-2") == 0 and cluster.made == 2 and len(cluster.names("one")) == 2


def test_one_by_hand_is_made_though_it_is_not_due(cluster):
    cluster.run("cp-1")
    assert cluster.run("cp-1", forced=True) == 0 and cluster.made == 2


def test_older_archives_go_at_each_destination(cluster):
    for _time in range(3):
        assert cluster.run(forced=True, keep=2) == 0
    assert [name[-11:-7] for name in cluster.names("one")] == ["200Z", "300Z"]


def test_a_destination_that_failed_gets_it_from_the_next_control_plane(cluster):
    (cluster.root / "two").write_text("this is not a directory")
    assert cluster.run("cp-1") == 1
    errors = [text for text in cluster.said if text.startswith("<3>")]
    assert "missing at 1 of 2 destinations" in errors[0] and str(cluster.root / "two") in errors[0]
    assert "systemctl start kube-backup" in errors[1]
    assert cluster.record.failure["node"] == "cp-1" and cluster.record.good == {}
    (cluster.root / "two").unlink()
    assert cluster.run("cp-2") == 0
    # The destination that has one already does not lose an older one for a second archive of the same time.
    assert len(cluster.names("one")) == 1 and len(cluster.names("two")) == 1
    assert cluster.record.failure == {} and cluster.record.good["node"] == "cp-2"
    assert cluster.run("cp-3") == 0 and cluster.made == 2


def test_a_backup_that_cannot_be_made_is_in_the_record_without_secrets(cluster):
    cluster.error = "etcd was compacted; password=hunter22"
    with pytest.raises(make.BackupError):
        cluster.run("cp-1")
    assert "etcd was compacted" in cluster.record.failure["text"] and "hunter22" not in str(cluster.api.objects)
    # The turn is over, so that the next control plane does not wait.
    assert "holderIdentity" not in cluster.api.objects[backup_record.PATH]["spec"]
    cluster.error = ""
    assert cluster.run("cp-2") == 0 and cluster.record.failure == {}


def test_a_failure_ends_with_the_destination_that_caused_it(cluster):
    (cluster.root / "two").write_text("this is not a directory")
    assert cluster.run("cp-1") == 1 and cluster.record.good == {}
    assert cluster.run("cp-2", to=[{"directory": cluster.places[0]}]) == 0 and cluster.made == 1
    assert cluster.record.failure == {} and cluster.record.good["node"] == "cp-1"


def test_a_destination_that_is_not_in_the_settings_any_more_is_forgotten(cluster):
    cluster.run("cp-1")
    cluster.run("cp-1", forced=True, to=[{"directory": cluster.places[0]}])
    assert list(cluster.record.places) == [cluster.places[0] + "/"]


def test_a_node_that_has_not_joined_yet_does_nothing(cluster, monkeypatch):
    monkeypatch.setattr(paths, "admin", lambda: str(cluster.root / "admin.conf"))
    assert cluster.run() == 0 and cluster.made == 0
    assert "not a control plane of a running cluster yet" in cluster.said[0]


def test_destinations_of_one_name_are_told_apart():
    one = {"s3": {"bucket": "b", "access_key": "A", "secret_key": "S", "endpoint": "https://one.example"}}
    two = {"s3": {**one["s3"], "endpoint": "https://two.example"}}
    broken = {"s3": {**one["s3"], "ca": "-----BEGIN x"}}
    assert scheduled.labels([one, two, broken]) == ["s3://b/", "s3://b/ (1)", "destination 2"]


def test_an_api_server_that_starts_is_waited_for(monkeypatch):
    answers = [ApiError("connection refused"), (500, "[-]etcd failed"), (200, "ok")]

    class Starting:
        def __init__(self, _servers):
            pass

        def ask(self, _method, _path):
            answer = answers.pop(0)
            if isinstance(answer, ApiError):
                raise answer
            return answer

    monkeypatch.setattr(scheduled, "Api", Starting)
    monkeypatch.setattr(scheduled.kubernetes, "local_server", lambda: ("127.0.0.1", 6443))
    monkeypatch.setattr(time, "sleep", lambda _seconds: None)
    assert isinstance(scheduled.api(), Starting) and answers == []


def test_an_archive_counts_though_the_record_cannot_be_written(cluster, monkeypatch):
    def silent(_turn, _record=None):
        raise ApiError("no answer")

    monkeypatch.setattr(backup_record.Turn, "release", silent)
    assert cluster.run() == 0 and len(cluster.names("one")) == 1
    assert cluster.said[-1] == "<3>cp-1: the record of backups was not written: no answer"


@pytest.mark.parametrize("content", [None, "[", '{"schedule": "never"}'])
def test_what_fails_is_an_error_in_the_journal_and_an_exit_status(content, cluster, capsys):
    path = cluster.root / "settings.json"
    if content:
        path.write_text(content)
    assert scheduled.main([str(path)]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert all(line.startswith("<3>") for line in lines) and "no backup was made" in lines[0]


def test_main_reads_the_settings_and_ends_on_sigterm_as_after_an_error(cluster, capsys):
    path = cluster.root / "settings.json"
    path.write_text(json.dumps(cluster.settings()))
    assert scheduled.main([str(path), scheduled.NOW]) == 0
    assert "made and verified, 2 KiB" in capsys.readouterr().out
    with pytest.raises(SystemExit):
        scheduled._end(15, None)
