# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Variables that roles and playbooks set begin with __: none is taken for an input, not in a second plan of a run."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[3]
FILES = sorted([*ROOT.glob("roles/*/[tvhd]*/*.yml"), *ROOT.glob("playbooks/*.yml")])
# Ansible's own, and what a role that is included takes: its inputs.
ANSIBLES = ("ansible_",)


def names(node):
    """Yield every variable that a file sets."""
    if isinstance(node, list):
        for item in node:
            yield from names(item)
    elif isinstance(node, dict):
        for key, value in node.items():
            if key in ("register", "loop_var", "index_var"):
                yield value
            elif key in ("vars", "ansible.builtin.set_fact") and isinstance(value, dict):
                yield from value
            if key != "vars":
                yield from names(value)


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_they_are_private(path):
    content = yaml.safe_load(path.read_text())
    found = list(content or {}) if path.parent.name in ("vars", "defaults") else list(names(content))
    assert [name for name in found if not str(name).startswith(("__", *ANSIBLES))] == []
