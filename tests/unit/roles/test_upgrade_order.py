# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A control plane is changed behind the lock and out of the API endpoint: requests to it would stall while etcd restarts.

https://github.com/kubernetes/kubeadm/issues/2991
"""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

TASKS = Path(__file__).parents[3] / "roles" / "upgrade" / "tasks"
LOCK, ENDPOINT = "kubewright.cluster.node_maintenance", "kubewright.cluster.endpoint_server"


def steps(name):
    """Return what each task of a file does, in short."""
    found = []
    for task in yaml.safe_load((TASKS / name).read_text(encoding="utf-8")):
        module = next(key for key in task if "." in key)
        arguments = task[module]
        state = arguments.get("state", "drained") if isinstance(arguments, dict) else arguments
        found.append({LOCK: state, ENDPOINT: "endpoint " + state}.get(module, "work"))
    return found


@pytest.mark.parametrize(
    "name, expected",
    [
        ("round.yml", ["entered", "endpoint drained", "work", "endpoint ready"]),
        ("control_plane.yml", ["endpoint drained", "work", "endpoint ready"]),
        ("node.yml", ["entered", "work", "work", "left"]),
        ("planes.yml", ["work", "endpoint ready", "work"]),
    ],
)
def test_a_control_plane_is_changed_out_of_the_endpoint(name, expected):
    assert steps(name) == expected
