# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What RETURN of a module says of its values: a sample has the type that is given, and lists name their elements."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest
import yaml

MODULES = sorted((Path(__file__).resolve().parents[4] / "plugins" / "modules").glob("*.py"))
TYPES = {"str": str, "bool": bool, "int": int, "float": (int, float), "list": list, "dict": dict}
# A value that is unknown is null: modules/node_info.py.
NULL = {"selinux_k3s", "selinux_haproxy"}


def returned(path):
    """Return the parsed RETURN of a module."""
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "RETURN":
            return yaml.safe_load(ast.literal_eval(node.value)) or {}
    return {}


def wrong(values, above=""):
    """Yield what is wrong with the values of RETURN."""
    for name, value in values.items():
        kind, sample = value.get("type"), value.get("sample")
        if kind not in (*TYPES, "raw"):
            yield "%s%s has the type %s" % (above, name, kind)
        if kind == "list" and not value.get("elements"):
            yield "%s%s does not name its elements" % (above, name)
        if "sample" in value and kind in TYPES and not isinstance(sample, TYPES[kind]) and name not in NULL:
            yield "%s%s: the sample %r is not of type %s" % (above, name, sample, kind)
        if kind == "list" and isinstance(sample, list):
            element = TYPES.get(value.get("elements"), object)
            if not all(isinstance(item, element) for item in sample):
                yield "%s%s: an item of the sample is not of type %s" % (above, name, value["elements"])
        yield from wrong(value.get("contains") or {}, above + name + ".")


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.stem)
def test_samples_have_their_type(path):
    assert list(wrong(returned(path))) == []
