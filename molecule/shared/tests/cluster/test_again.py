# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A further run, asked what it would do."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path


def test_check_mode_finds_nothing_to_do():
    inventory = Path(os.environ["MOLECULE_INVENTORY_FILE"]).parent
    command = ["ansible-playbook", "kubewright.cluster.site", "--check", "--diff", "-i", str(inventory)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    changed = re.findall(r"^(\S+) +: ok=\d+ +changed=(\d+)", done.stdout, re.MULTILINE)
    assert changed
    assert {number for _host, number in changed} == {"0"}, done.stdout
