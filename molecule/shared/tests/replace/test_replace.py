# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The first control plane is replaced by one command, and nothing changes on the other nodes."""

from __future__ import annotations

from running import groups, playbook


def test_the_first_control_plane_is_replaced():
    host = groups()["kube_control_plane"]["hosts"][0]
    changes, output = playbook("replace", "-e", f"replace_nodes={host}")
    assert changes[host] > 0
    assert "is healthy: " in output
    again, output = playbook("site")
    assert set(again.values()) == {0}, output
