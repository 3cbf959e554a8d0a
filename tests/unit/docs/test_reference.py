# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The generated reference has no markup of Ansible left, which a reader would see as it is. The changelog lists every
module with the description that it has."""

from __future__ import annotations

import ast
import re

import pytest
import yaml
from ansible_collections.kubewright.cluster.tests.unit.docs.pages import ROOT, name_of

PAGES = sorted((ROOT / "docs" / "reference").rglob("*.md"))


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_no_markup_is_left(page):
    text = re.sub(r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.S | re.M)
    assert re.findall(r"\b(?:[BCEILMOPRUV]|RV)\([^)]*\)|#(?:module|role|lookup|filter):", text) == []


def test_the_changelog_lists_every_module():
    described = {}
    for path in (ROOT / "plugins" / "modules").glob("*.py"):
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "DOCUMENTATION":
                described[path.stem] = yaml.safe_load(ast.literal_eval(node.value))["short_description"]
    releases = yaml.safe_load((ROOT / "changelogs" / "changelog.yaml").read_text(encoding="utf-8"))["releases"]
    rows = [row for release in releases.values() for row in release.get("modules", [])]
    assert {row["name"]: row["description"] for row in rows} == described
