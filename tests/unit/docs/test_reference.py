# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The generated reference has no markup of Ansible left, which would be shown to the reader as it is."""

from __future__ import annotations

import re

import pytest
from ansible_collections.kubewright.cluster.tests.unit.docs.pages import ROOT, name_of

PAGES = sorted((ROOT / "docs" / "reference").rglob("*.md"))


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_no_markup_is_left(page):
    text = re.sub(r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.S | re.M)
    assert re.findall(r"\b(?:[BCEILMOPRUV]|RV)\([^)]*\)|#(?:module|role|lookup|filter):", text) == []
