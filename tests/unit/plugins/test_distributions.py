# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What differs between the distributions is a question to their objects, not a comparison of names."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest
from ansible_collections.kubewright.cluster.plugins.plugin_utils.base.distribution import Distribution
from ansible_collections.kubewright.cluster.plugins.plugin_utils.plan import distributions

PLUGINS = Path(__file__).resolve().parents[3] / "plugins"
SEARCHED = ("plugin_utils", "action", "filter")
# The two packages themselves.
OWN = ("plugin_utils/kubeadm/", "plugin_utils/k3s/")
# The picker, the rules that weigh one against the other, and a default for facts of older runs.
ALLOWED = {
    "plugin_utils/plan/distributions.py",
    "plugin_utils/plan/choose_distribution.py",
    "plugin_utils/plan/distribution_rules.py",
}
NAMES = {"kubeadm", "k3s"}


def compared(path: Path) -> list[int]:
    """Return the lines of a file that compare something with a distribution's name."""
    found = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Compare):
            values = [node.left, *node.comparators]
            inner = [item for value in values for item in getattr(value, "elts", [value])]
            if any(isinstance(item, ast.Constant) and item.value in NAMES for item in inner):
                found.append(node.lineno)
    return found


def test_nobody_else_compares_their_names():
    wrong = []
    for folder in SEARCHED:
        for path in sorted((PLUGINS / folder).rglob("*.py")):
            name = str(path.relative_to(PLUGINS))
            if name in ALLOWED or name.startswith(OWN):
                continue
            wrong += ["%s:%d" % (name, line) for line in compared(path)]
    assert not wrong


@pytest.mark.parametrize("distribution", distributions.ALL, ids=lambda item: item.name)
def test_each_answers_every_question(distribution):
    questions = Distribution.__annotations__
    assert not [name for name in questions if not hasattr(distribution, name)]
    assert distributions.by_name(distribution.name) is distribution
    assert distributions.other(distribution.name) is not distribution


def test_the_packages_have_files_of_the_same_names():
    kubeadm, k3s = ({path.name for path in (PLUGINS / folder).glob("*.py")} for folder in OWN)
    same = {"artifacts.py", "checks.py", "config.py", "datastore.py", "distribution.py", "node_files.py", "service.py"}
    assert same <= kubeadm and same <= k3s
