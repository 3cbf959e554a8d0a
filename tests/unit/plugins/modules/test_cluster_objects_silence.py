# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An API server that does not answer, between two calls of the module cluster_objects."""

from __future__ import annotations

import json

import pytest
from ansible_collections.kubewright.cluster.plugins.modules import cluster_objects

SILENT = (1, "", "Unable to connect to the server: EOF")
NONE = (1, "", 'Error from server (NotFound): configmaps "kubewright-manifests" not found')
RECORD = (0, json.dumps({"data": {"manifests": '{"mine": ["v1|ConfigMap|default|mine"]}'}}), "")


class Failed(Exception):
    pass


class Module:
    params = {"kubeconfig": "/etc/kubernetes/admin.conf"}

    def __init__(self, answers):
        self.answers = answers

    def run_command(self, _argv, data=None, environ_update=None):
        assert environ_update["HTTPS_PROXY"] == environ_update["no_proxy"] == ""
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]

    def fail_json(self, **result):
        raise Failed(result["msg"])


@pytest.fixture(autouse=True)
def clock(monkeypatch):
    now = [0.0]
    monkeypatch.setattr(cluster_objects.time, "monotonic", lambda: now[0])
    monkeypatch.setattr(cluster_objects.time, "sleep", lambda seconds: now.__setitem__(0, now[0] + seconds))
    return now


def test_it_is_asked_again():
    assert cluster_objects.Cluster(Module([SILENT, SILENT, RECORD])).record() == {"mine": ["v1|ConfigMap|default|mine"]}


def test_silence_is_not_an_empty_record(clock):
    with pytest.raises(Failed, match="EOF"):
        cluster_objects.Cluster(Module([SILENT])).record()
    assert clock[0] >= cluster_objects.WAIT_SECONDS


def test_an_answer_that_there_is_none_is_believed_at_once(clock):
    assert cluster_objects.Cluster(Module([NONE])).record() == {}
    assert clock[0] == 0
