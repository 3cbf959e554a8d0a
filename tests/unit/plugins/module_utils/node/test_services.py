# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest
from ansible_collections.kubewright.cluster.plugins.module_utils.base.commands import Result
from ansible_collections.kubewright.cluster.plugins.module_utils.node.services import Systemd


def systemd(output):
    return Systemd(lambda _argv: Result(0, output))


@pytest.mark.parametrize(
    ("state", "stopped"),
    [("inactive", True), ("failed", True), ("deactivating", False), ("active", False), ("", False)],
)
def test_a_service_that_is_still_stopping_has_not_stopped(state, stopped):
    assert systemd(state + "\n").remove("containerd") == stopped


@pytest.mark.parametrize(("number", "process"), [("4711", "4711"), ("0", ""), ("", "")])
def test_the_main_process(number, process):
    assert systemd(number + "\n").process("k3s") == process
