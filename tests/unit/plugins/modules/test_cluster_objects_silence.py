# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An API server that does not answer, between two calls of the module cluster_objects."""

from __future__ import annotations

import json

import pytest
from ansible_collections.kubewright.cluster.plugins.module_utils.base.commands import TIMED_OUT, Result
from ansible_collections.kubewright.cluster.plugins.modules import cluster_objects

pytestmark = pytest.mark.usefixtures("clock")

SILENT = (1, "", "Unable to connect to the server: EOF")
NONE = (1, "", 'Error from server (NotFound): configmaps "kubewright-manifests" not found')
RECORD = (0, json.dumps({"data": {"manifests": '{"mine": ["v1|ConfigMap|default|mine"]}'}}), "")


class Failed(Exception):
    pass


class Module:
    params = {"kubeconfig": "/etc/kubernetes/admin.conf"}

    def __init__(self, answers):
        self.answers = answers

    def run(self, _argv, timeout, stdin, env):
        assert env["HTTPS_PROXY"] == env["no_proxy"] == "" and timeout
        return Result(*(self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]))

    def fail_json(self, **result):
        raise Failed(result["msg"])


def asked(answers):
    module = Module(answers)
    return cluster_objects.Cluster(module, module.run)


def test_it_is_asked_again():
    assert asked([SILENT, SILENT, RECORD]).record() == {"mine": ["v1|ConfigMap|default|mine"]}


def test_silence_is_not_an_empty_record(clock):
    with pytest.raises(Failed, match="EOF"):
        asked([SILENT]).record()
    assert clock[0] >= cluster_objects.WAIT_SECONDS


def test_an_answer_that_there_is_none_is_believed_at_once(clock):
    assert asked([NONE]).record() == {}
    assert clock[0] == 0


def test_a_server_that_takes_a_request_and_never_answers_is_not_waited_for(clock):
    with pytest.raises(Failed, match="did not finish within"):
        asked([(TIMED_OUT, "", "kubectl did not finish within 120 s")]).record()
    assert clock[0] >= cluster_objects.WAIT_SECONDS
