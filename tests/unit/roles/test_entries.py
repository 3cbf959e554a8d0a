# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A role that has nothing to run as a whole says so; Ansible would do nothing, in silence."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

ROLES = sorted((Path(__file__).resolve().parents[3] / "roles").iterdir())


@pytest.mark.parametrize("role", ROLES, ids=lambda role: role.name)
def test_every_role_does_something_as_a_whole(role):
    assert yaml.safe_load((role / "tasks" / "main.yml").read_text())


ROOT = ROLES[0].parents[1]
TEXTS = {
    path: path.read_text(encoding="utf-8")
    for pattern in ("roles/*/tasks/*.yml", "playbooks/*.yml", "plugins/**/*.py")
    for path in ROOT.glob(pattern)
}


@pytest.mark.parametrize("path", sorted(ROOT.glob("roles/*/tasks/*.yml")), ids=lambda path: "/".join(path.parts[-3::2]))
def test_every_file_of_tasks_is_included(path):
    """By its name, or by what follows the distribution: "{{ kind }}_round.yml"."""
    name, after = re.escape(path.stem), re.escape(path.stem.partition("_")[2] or path.stem)
    included = r"tasks_from: %s$|[\"']%s[\"']|include_tasks: .*(?<![a-z_])%s\.yml|\}\}_%s\.yml" % (
        name,
        name,
        name,
        after,
    )
    others = (text for other, text in TEXTS.items() if other != path)
    assert path.stem == "main" or any(re.search(included, text, re.M) for text in others)
