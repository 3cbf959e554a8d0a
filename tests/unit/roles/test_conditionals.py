# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""ansible-core 2.19 fails on a condition that is not true or false, such as None or a path."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[3]
FILES = sorted([*ROOT.glob("roles/*/tasks/*.yml"), *ROOT.glob("roles/*/handlers/*.yml"), *ROOT.glob("playbooks/*.yml")])
BOOLEAN = re.compile(r"\b(in|not|is)\b|==|!=|<|>|\|\s*bool\b|^ansible_(check|diff)_mode$")


def conditions(node):
    """Yield every part of a condition that `and` and `or` combine."""
    if isinstance(node, list):
        for item in node:
            yield from conditions(item)
    elif isinstance(node, dict):
        for key, value in node.items():
            if key in ("when", "failed_when", "changed_when"):
                for text in value if isinstance(value, list) else [value]:
                    yield from [] if isinstance(text, bool) else re.split(r"\s+(?:and|or)\s+", str(text))
            else:
                yield from conditions(value)


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_conditions_are_true_or_false(path):
    assert [part for part in conditions(yaml.safe_load(path.read_text())) if not BOOLEAN.search(part)] == []
