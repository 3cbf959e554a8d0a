# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Another run on a complete cluster changes nothing."""

from __future__ import annotations

import json
import os
import re
import subprocess
from pathlib import Path

# The tests parse the output, so disable colours.
PLAIN = {**os.environ, "ANSIBLE_NOCOLOR": "1", "ANSIBLE_FORCE_COLOR": "0"}


def test_check_mode_changes_nothing():
    inventory = Path(os.environ["MOLECULE_INVENTORY_FILE"]).parent
    command = ["ansible-playbook", "kubewright.cluster.site", "--check", "--diff", "-i", str(inventory)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=PLAIN)
    assert done.returncode == 0, done.stdout + done.stderr
    changed = re.findall(r"^(\S+) +: ok=\d+ +changed=(\d+)", done.stdout, re.MULTILINE)
    assert changed
    assert {number for _host, number in changed} == {"0"}, done.stdout


def test_the_plan_has_no_steps_and_can_be_saved(tmp_path, inputs):
    inventory = Path(os.environ["MOLECULE_INVENTORY_FILE"]).parent
    files = {name: tmp_path / f"plan.{name}" for name in ("json", "html")}
    wanted = [word for name, path in files.items() for word in ("-e", f"plan_{name}={path}")]
    command = ["ansible-playbook", "kubewright.cluster.plan", "-i", str(inventory), *wanted]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=PLAIN)
    assert done.returncode == 0, done.stdout + done.stderr
    plan = json.loads(files["json"].read_text())
    assert plan["distribution"] == inputs.get("kube_distribution", "kubeadm")
    assert plan["reasons"][0]["rule"] in ("installed", "requested")
    assert {host: node["steps"] for host, node in plan["nodes"].items()} == dict.fromkeys(plan["nodes"], {})
    page = files["html"].read_text()
    assert '<h2 id="todo">' in page
    assert all(node["address"] in page for node in plan["nodes"].values())
    assert {path.stat().st_mode & 0o777 for path in files.values()} == {0o600}
