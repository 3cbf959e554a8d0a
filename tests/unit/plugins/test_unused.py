# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Constants, functions and classes that nothing uses are removed: a name has to be written a second time somewhere."""

from __future__ import annotations

import ast
import collections
import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
# What Ansible, or the class that is derived from, calls by its name.
CALLED = {
    "ActionModule",
    "LookupModule",
    "FilterModule",
    "CallbackModule",
    "ModuleDocFragment",
    "DOCUMENTATION",
    "RETURN",
}
CALLED |= {"redirect_request", "readinto", "ignore_aliases", "__add__", "__all__", "EXAMPLES"}
# By getattr: action/restore.py.
CALLED |= {"_prepared"}


def used() -> collections.Counter:
    """Count the words of everything that runs; a name that only unit tests use is not used."""
    words: collections.Counter = collections.Counter()
    for folder in (
        "plugins",
        "roles",
        "playbooks",
        "tests/lab",
        "tests/databases",
        "tests/architectures",
        "benchmarks",
    ):
        for path in (ROOT / folder).rglob("*"):
            if path.suffix in (".py", ".yml", ".j2", ".sh") and path.is_file():
                words.update(re.findall(r"\w+", path.read_text(encoding="utf-8")))
    return words


def defined(source: str) -> list[str]:
    """Return the names of functions and classes, and of constants of the module."""
    found: list[str] = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
            found.append(node.name)
        elif isinstance(node, ast.Assign) and node.col_offset == 0:
            found += [name.id for target in node.targets for name in ast.walk(target) if isinstance(name, ast.Name)]
    return found


def test_every_name_is_used():
    words, unused = used(), []
    for path in sorted((ROOT / "plugins").rglob("*.py")):
        for name in defined(path.read_text(encoding="utf-8")):
            if words[name] < 2 and name not in CALLED:
                unused.append("%s: %s" % (path.relative_to(ROOT), name))
    assert unused == []
