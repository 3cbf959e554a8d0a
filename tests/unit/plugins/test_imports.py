# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every plugin can be imported. Ansible imports a plugin only when a play uses it."""

from __future__ import annotations

import importlib
import pathlib

import pytest

PLUGINS = pathlib.Path(__file__).parents[3] / "plugins"


def modules():
    """Return the dotted names of all Python files below plugins."""
    paths = sorted(path for path in PLUGINS.rglob("*.py") if path.name != "__init__.py")
    return [".".join(path.relative_to(PLUGINS.parent).with_suffix("").parts) for path in paths]


@pytest.mark.parametrize("name", modules())
def test_it_can_be_imported(name):
    importlib.import_module("ansible_collections.kubewright.cluster." + name)
