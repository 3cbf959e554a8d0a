# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The first control plane is replaced by one command, and nothing changes on the other nodes."""

from __future__ import annotations

import json
import os
import re
import subprocess
from pathlib import Path

# The tests parse the output, so disable colours.
PLAIN = {**os.environ, "ANSIBLE_NOCOLOR": "1", "ANSIBLE_FORCE_COLOR": "0"}


def playbook(name, *arguments):
    """Run a playbook. Return {host: number of changes} and the output."""
    inventory = Path(os.environ["MOLECULE_INVENTORY_FILE"]).parent
    command = ["ansible-playbook", f"kubewright.cluster.{name}", "-i", str(inventory), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=PLAIN)
    assert done.returncode == 0, done.stdout + done.stderr
    counts = re.findall(r"^(\S+) +: ok=\d+ +changed=(\d+)", done.stdout, re.MULTILINE)
    return {host: int(number) for host, number in counts}, done.stdout


def first_control_plane():
    """Return the first host of the inventory's group."""
    inventory = Path(os.environ["MOLECULE_INVENTORY_FILE"]).parent
    listed = json.loads(subprocess.check_output(["ansible-inventory", "-i", str(inventory), "--list"]))
    return listed["kube_control_plane"]["hosts"][0]


def test_the_first_control_plane_is_replaced():
    host = first_control_plane()
    changes, output = playbook("replace", "-e", f"replace_nodes={host}")
    assert changes[host] > 0
    assert "is healthy: " in output
    again, output = playbook("site")
    assert set(again.values()) == {0}, output
