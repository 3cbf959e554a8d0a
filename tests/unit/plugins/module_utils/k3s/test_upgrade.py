# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A K3s node has to run the release that it was restarted for."""

from __future__ import annotations

import pytest
from ansible_collections.kubewright.cluster.plugins.module_utils.api.kubernetes import ApiError
from ansible_collections.kubewright.cluster.plugins.module_utils.k3s import readiness, upgrade

NEW, OLD = "v1.37.2+k3s1", "v1.36.3+k3s1"


class Api:
    """An API server of one version, whose Node names another one."""

    def __init__(self, server, kubelet):
        self.server, self.kubelet = server, kubelet

    def get(self, path, missing_ok=False):
        if path == "/version":
            return {"gitVersion": self.server}
        return {"status": {"nodeInfo": {"kubeletVersion": self.kubelet}}} if self.kubelet else None


@pytest.mark.parametrize(
    "api,server,expected",
    [
        (Api(NEW, NEW), True, ""),
        (Api(OLD, OLD), True, "its API server has version v1.36.3+k3s1, not v1.37.2+k3s1"),
        (Api(NEW, OLD), True, "its kubelet has reported version v1.36.3+k3s1, not v1.37.2+k3s1"),
        # The server that an agent reaches may be an older one.
        (Api(OLD, NEW), False, ""),
        (Api(OLD, OLD), False, "its kubelet has reported version v1.36.3+k3s1, not v1.37.2+k3s1"),
        (Api(NEW, ""), False, "its kubelet has reported version None, not v1.37.2+k3s1"),
    ],
)
def test_every_part_has_to_have_the_release(api, server, expected):
    assert upgrade.version_problem(api, "n", NEW, server) == expected


def test_a_node_is_asked_through_what_it_has(monkeypatch):
    monkeypatch.setattr(readiness, "own_api", lambda: (None, "its API is not ready"))
    monkeypatch.setattr(readiness, "agent_api", lambda place: (Api(OLD, NEW), ""))
    assert upgrade.problem("n", "/data", NEW, True) == "its API is not ready"
    assert upgrade.problem("n", "/data", NEW, False) == ""

    def refused():
        raise ApiError("refused")

    monkeypatch.setattr(readiness, "own_api", refused)
    assert upgrade.problem("n", "/data", NEW, True) == "refused"


class Manager:
    def __init__(self, process):
        self.found = process

    def process(self, name):
        return self.found


def test_a_server_that_restarts_is_waited_for(monkeypatch):
    answers = iter(["refused", "its API is not ready", ""])
    monkeypatch.setattr(upgrade.services, "here", lambda: Manager(object()))
    assert upgrade.settle(60, lambda: next(answers), lambda _seconds: None) == ""
    assert upgrade.settle(0, lambda: "refused", lambda _seconds: None) == "refused"


def test_other_nodes_are_not_waited_for(monkeypatch):
    monkeypatch.setattr(upgrade.services, "here", lambda: Manager(None))
    assert upgrade.settle(60, lambda: "never asked") == ""
