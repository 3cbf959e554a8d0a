# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""K3s's program is the one that the node's service starts, wherever k3s_binary has put it."""

from __future__ import annotations

import pytest
from ansible_collections.kubewright.cluster.plugins.module_utils.node import paths
from ansible_collections.kubewright.cluster.plugins.plugin_utils.machine import service_units

PLACE = "/opt/k3s-1.36/k3s"
UNITS = {
    "/etc/systemd/system/k3s.service": service_units.k3s("control_plane", False, PLACE),
    "/etc/systemd/system/k3s-agent.service": service_units.k3s("worker", False, PLACE),
    "/etc/init.d/k3s": service_units.k3s_openrc("control_plane", PLACE),
    # As upstream's script writes it.
    "/etc/init.d/k3s-agent": "command=%s\n" % PLACE,
}


@pytest.mark.parametrize("path", UNITS)
def test_the_program_that_the_service_starts(monkeypatch, path):
    monkeypatch.setattr(paths, "read_text", lambda asked: UNITS[path] if asked == path else "")
    assert paths.k3s_program() == PLACE and paths.K3s().crictl == (PLACE, "crictl")


def test_the_usual_program_without_a_service(monkeypatch):
    monkeypatch.setattr(paths, "read_text", lambda asked: "")
    assert paths.k3s_program() == paths.K3S_PROGRAM == "/usr/local/bin/k3s"
