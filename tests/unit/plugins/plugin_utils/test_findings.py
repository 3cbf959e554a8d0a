# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every finding that the collection can make has an id of its own form, and its wording in the golden file."""

from __future__ import annotations

import ast
import re
from pathlib import Path

from ansible_collections.kubewright.cluster.plugins.plugin_utils.base import findings
from ansible_collections.kubewright.cluster.tests.unit.plugins.plugin_utils.findings import known

SOURCES = Path(findings.__file__).parents[2]


def made_ids():
    """Return the id of every Finding that the plugins make, by where it is made."""
    found = {}
    for path in sorted(SOURCES.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") in ("Finding", "finding") and node.args:
                where = "%s:%d" % (path.relative_to(SOURCES), node.lineno)
                found[where] = node.args[0].value if isinstance(node.args[0], ast.Constant) else None
    return found


def test_ids_are_literals_with_a_subject_and_a_problem():
    wrong = {
        where: name for where, name in made_ids().items() if not re.fullmatch(r"[a-z0-9_]+\.[a-z0-9_]+", str(name))
    }
    assert wrong == {}


def test_golden_file_has_the_wording_of_every_finding():
    made = set(made_ids().values())
    assert made - set(known()) == set(), "no test makes these, or it does not compare their ids"
    assert set(known()) - made == set(), "nothing makes these"


def test_wording_is_plain():
    """Some phrases that readers stumble over."""
    odd = re.compile(r"\bis no \b|\banew\b|\blacks?\b|\blikewise\b|\bIPv[46] alone\b")
    assert [text for texts in known().values() for text in texts if odd.search(text)] == []
