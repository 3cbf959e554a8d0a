# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Imports between the packages go one way: a package may import only those before it in its list."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

PLUGINS = Path(__file__).resolve().parents[3] / "plugins"
# Packages on one line do not import each other.
LAYERS = {
    "module_utils": [
        ["base"],
        ["node"],
        ["api"],
        ["kubeadm", "k3s", "detect"],
        ["verify", "reset", "support", "local", "destinations", "sql"],
        ["backup"],
        ["restore"],
    ],
    "plugin_utils": [
        ["base"],
        ["inputs"],
        ["machine"],
        ["network"],
        ["kubeadm", "k3s"],
        ["plan"],
        ["operations"],
        ["report", "controller"],
    ],
}


def imports(path: Path) -> list[tuple[str, ...]]:
    """Return what a file imports of the collection's plugins, as (folder, package)."""
    here = path.relative_to(PLUGINS.parent).parts[:-1]
    found = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if not isinstance(node, ast.ImportFrom):
            continue
        module = tuple((node.module or "").split(".")) if node.module else ()
        if node.level:
            target = here[: len(here) - node.level + 1] + module
        elif module[:3] == ("ansible_collections", "kubewright", "cluster"):
            target = module[3:]
        else:
            continue
        found += [(target + (alias.name,))[1:3] for alias in node.names]
    return found


@pytest.mark.parametrize("folder", sorted(LAYERS))
def test_imports_go_one_way(folder):
    layers = LAYERS[folder]
    rank = {name: number for number, names in enumerate(layers) for name in names}
    wrong = []
    for path in sorted((PLUGINS / folder).rglob("*.py")):
        package = path.relative_to(PLUGINS / folder).parts[0]
        assert package in rank, f"{path} is in no known package"
        for target, name in imports(path):
            if target == folder and name != package and rank[name] >= rank[package]:
                wrong.append(f"{path.relative_to(PLUGINS)} imports {folder}.{name}")
    assert not wrong


def test_what_travels_to_nodes_imports_nothing_of_the_controller():
    wrong = [
        str(path.relative_to(PLUGINS))
        for path in sorted((PLUGINS / "module_utils").rglob("*.py"))
        if any(target == "plugin_utils" for target, _name in imports(path))
    ]
    assert not wrong


def test_no_folder_is_flat():
    crowded = {
        str(folder.relative_to(PLUGINS)): len(list(folder.glob("*.py")))
        for root in LAYERS
        for folder in (PLUGINS / root).rglob("*")
        if folder.is_dir() and len(list(folder.glob("*.py"))) > 15
    }
    assert not crowded
    assert not [path for root in LAYERS for path in (PLUGINS / root).glob("*.py")]


@pytest.mark.parametrize("folder", LAYERS)
def test_the_page_on_the_architecture_names_every_package(folder):
    text = (PLUGINS.parent / "docs" / "architecture.md").read_text(encoding="utf-8")
    row = text.partition("| `plugins/%s` |" % folder)[2].partition("\n")[0]
    assert [name for layer in LAYERS[folder] for name in layer if "`%s`" % name not in row] == []
