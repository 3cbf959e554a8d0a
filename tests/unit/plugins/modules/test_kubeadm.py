# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""kubeadm: each state runs its step, check mode runs none, failures are said once and without secrets."""

from __future__ import annotations

import pytest
from ansible_collections.kubewright.cluster.plugins.module_utils.kubeadm import (
    images,
    join,
    static_pods,
)
from ansible_collections.kubewright.cluster.plugins.module_utils.kubeadm.gate import Gate
from ansible_collections.kubewright.cluster.plugins.module_utils.kubeadm.runner import KubeadmError, Runner
from ansible_collections.kubewright.cluster.plugins.modules import kubeadm

SECRET = {"token": "abcdef.0123456789abcdef", "ca_hash": "sha256:x", "certificate_key": "e" * 64}
ARGUMENTS = {"config": "x", "node_name": "n", "credentials": SECRET, "images": ["a:1"]}
ANSWERS = {
    "init": True,
    "wait_api": None,
    "pull": ["a:1"],
    "credentials": SECRET,
    "join": True,
    "reconfigure": None,
    "upload": None,
    "gate": None,
}


class Node:
    """The runner's calls, and what each answers."""

    def __init__(self):
        self.calls, self.answers, self.missing = [], dict(ANSWERS), ["a:1"]


@pytest.fixture
def node(monkeypatch):
    made = Node()

    def method(name):
        def call(_self, *arguments):
            made.calls.append((name, arguments))
            if isinstance(made.answers[name], Exception):
                raise made.answers[name]
            return made.answers[name]

        return call

    for name in ANSWERS:
        elsewhere = {
            "gate": (Gate, "wait"),
            "reconfigure": (static_pods, "reconfigure"),
            "join": (join, "join"),
            "pull": (images, "pull"),
        }
        place = elsewhere.get(name, (Runner, name))
        monkeypatch.setattr(*place, method(name))
    monkeypatch.setattr(images, "missing", lambda _node, _names: made.missing)
    monkeypatch.setattr(Runner, "last_words", lambda _self: "E1129 the kubelet's last words")
    return made


@pytest.mark.parametrize("state", sorted(kubeadm.ACTIONS))
def test_each_state_runs_its_step(run_module, node, state):
    done = run_module(kubeadm, state=state, **ARGUMENTS)
    assert [name for name, _arguments in node.calls] == ["wait_api" if state == "wait" else state]
    assert done["changed"] == (state not in ("wait", "gate")) and "seconds" in done


@pytest.mark.parametrize("state", sorted(kubeadm.ACTIONS))
def test_check_mode_runs_nothing(run_module, node, state):
    done = run_module(kubeadm, check=True, state=state, **ARGUMENTS)
    assert node.calls == [] and done["changed"] == (state not in ("wait", "gate"))


@pytest.mark.parametrize("missing", [[], None])
def test_check_mode_reports_no_pull_where_nothing_is_missing_or_nobody_knows(run_module, node, missing):
    node.missing = missing
    done = run_module(kubeadm, check=True, state="pull", **ARGUMENTS)
    assert not done["changed"] and done["pulled"] == [] and ("does not say" in done.get("msg", "")) == (missing is None)


def test_nothing_done_is_no_change(run_module, node):
    node.answers.update(init=False, join=False, pull=[])
    assert not any(run_module(kubeadm, state=state, **ARGUMENTS)["changed"] for state in ("init", "join", "pull"))


@pytest.mark.parametrize("state", sorted(set(kubeadm.ACTIONS) - {"join"}))
def test_a_failure_is_told_with_the_kubelets_last_words(run_module, node, state):
    node.answers["wait_api" if state == "wait" else state] = KubeadmError("it failed")
    failed = run_module(kubeadm, state=state, **ARGUMENTS)
    assert failed["failed"] and failed["msg"] == "it failed\nE1129 the kubelet's last words"


def test_a_join_that_failed_is_tried_again_before_it_fails(run_module, node):
    node.answers["join"] = KubeadmError("no route to the API")
    first = run_module(kubeadm, state="join", **ARGUMENTS)
    assert not first.get("failed") and first["joined"] is False and first["reason"] == "no route to the API"
    assert run_module(kubeadm, state="join", last_try=True, **ARGUMENTS)["failed"]
    assert [arguments[3] for _name, arguments in node.calls] == [False, True]


def test_a_state_without_what_it_needs_is_refused(run_module, node):
    for state, missing in (("join", "credentials"), ("gate", "node_name"), ("init", "config"), ("upload", "config")):
        failed = run_module(kubeadm, state=state, **{key: value for key, value in ARGUMENTS.items() if key != missing})
        assert failed["failed"] and missing in failed["msg"]
    assert node.calls == []


def test_secrets_that_were_given_are_in_no_result(run_module, node):
    node.answers["join"] = KubeadmError("key %(certificate_key)s token %(token)s" % SECRET)
    assert not any(
        secret in str(run_module(kubeadm, state="join", **ARGUMENTS))
        for secret in (SECRET["token"], SECRET["certificate_key"])
    )
