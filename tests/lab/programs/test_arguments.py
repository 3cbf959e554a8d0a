# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""No argument and no feature gate that the lab's real programs print with --help is refused as unknown."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest
from ansible_collections.kubewright.cluster.plugins.plugin_utils.inputs import components
from ansible_collections.kubewright.cluster.plugins.plugin_utils.inputs.component_arguments import ARGUMENTS
from ansible_collections.kubewright.cluster.plugins.plugin_utils.inputs.feature_gates import GATES

CACHE = Path(os.environ.get("KUBEWRIGHT_CACHE") or Path.home() / ".cache" / "kubewright")
PROGRAMS = sorted(path for name in ARGUMENTS for path in CACHE.glob(f"build/kubernetes/*/*/{name}"))
# Print something, or set all gates of a level.
OTHERS = {"help", "version"}
LEVELS = {"AllAlpha", "AllBeta"}


def test_programs_of_every_component_are_there():
    assert {path.name for path in PROGRAMS} == set(ARGUMENTS) - {"etcd"}


@pytest.mark.parametrize("path", PROGRAMS, ids=lambda path: f"{path.parts[-3]}-{path.name}")
def test_what_a_program_knows_is_not_refused(path):
    done = subprocess.run([path, "--help"], capture_output=True, text=True, check=False)
    text = done.stdout + done.stderr
    arguments = set(re.findall(r"^\s+(?:-\w, )?--([\w-]+)", text, re.MULTILINE))
    gates = set(re.findall(r"^\s*(?:kube:)?([A-Z]\w+)=true\|false", text, re.MULTILINE))
    assert len(arguments) > 50 and len(gates) > 100
    assert not arguments - set(ARGUMENTS[path.name]) - OTHERS
    assert not gates - GATES - LEVELS
    minor = int(path.parts[-3].split(".")[1])
    given = {"featureGates": dict.fromkeys(gates - LEVELS, True)}
    assert not list(components.gates_of_another_release("kubelet_config", given, minor))
