# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The Korean quick start says what README.md says: the same commands, inventory, playbooks, options and limits."""

from __future__ import annotations

import re

from ansible_collections.kubewright.cluster.tests.unit.docs.pages import ROOT, blocks

ENGLISH, KOREAN = ROOT / "README.md", ROOT / "docs" / "quickstart.ko.md"


def without_comments(page):
    """Return the lines of all blocks of code without their comments."""
    return [re.sub(r"\s*#.*", "", line) for _language, block in blocks(page) for line in block.splitlines()]


def in_code(page):
    """Return what the page sets as code in its sentences."""
    text = re.sub(r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.S | re.M)
    return {re.sub(r"\s+", " ", code) for code in re.findall(r"`([^`]+)`", text)}


def section(page, title):
    """Return the items of the list below a heading."""
    text = page.read_text(encoding="utf-8").partition("\n## %s\n" % title)[2].partition("\n## ")[0]
    return re.findall(r"^- ", text, flags=re.M)


def test_it_has_the_same_commands_and_the_same_inventory():
    assert without_comments(KOREAN) == without_comments(ENGLISH)


def test_it_names_the_same_playbooks_and_options():
    ours = {"benchmarks/"}  # of the repository, beside the figures
    assert in_code(ENGLISH) - in_code(KOREAN) - ours == set()


def test_it_has_as_many_expectations_and_limits():
    assert len(section(KOREAN, "특징")) == len(section(ENGLISH, "What to expect"))
    assert len(section(KOREAN, "제한 사항")) == len(section(ENGLISH, "Limits"))
