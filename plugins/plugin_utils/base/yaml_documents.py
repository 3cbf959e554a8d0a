# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Write configuration documents: merge a user's map over a computed one, and write YAML in one form."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import yaml

from .findings import Finding


class _Dumper(yaml.SafeDumper):
    """Text with line breaks as a block; lists indented as people write them."""

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:
        super().increase_indent(flow, False)


_Dumper.add_representer(
    str,
    lambda dumper, text: dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|" if "\n" in text else None),
)


# Text that Go's YAML (sigs.k8s.io/yaml, yaml.v2, yaml.v3: decodeScalar) takes for a number or a boolean, and Python's
# does not, has to be quoted: an S3 key 12e34, a node named n.
_DIGITS = list("-+.0123456789")
for _kind, _pattern, _first in (
    ("bool", r"[yYnN]", list("yYnN")),
    ("int", r"[-+]?0o[0-7]+", _DIGITS),
    ("float", r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?", _DIGITS),
):
    _Dumper.add_implicit_resolver("tag:yaml.org,2002:" + _kind, re.compile("^(?:%s)$" % _pattern), _first)


class KubernetesLoader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]
    """YAML as Kubernetes reads it: times, numbers to the base of 60, and the value =, are text."""


def _whole(loader: Any, node: Any) -> Any:
    return loader.construct_scalar(node) if ":" in node.value else loader.construct_yaml_int(node)


def _fraction(loader: Any, node: Any) -> Any:
    return loader.construct_scalar(node) if ":" in node.value else loader.construct_yaml_float(node)


for _tag in ("value", "timestamp"):
    KubernetesLoader.add_constructor("tag:yaml.org,2002:" + _tag, lambda loader, node: loader.construct_scalar(node))
KubernetesLoader.add_constructor("tag:yaml.org,2002:int", _whole)
KubernetesLoader.add_constructor("tag:yaml.org,2002:float", _fraction)


def merge(computed: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """Return a deep merge in which the given map wins. A key without a value counts as not set.

    Lists of {name, value}, as kubeadm's extraArgs, are merged by name; other lists are replaced as a whole.
    """
    result = dict(computed)
    for key, value in given.items():
        there = result.get(key)
        if value is None:
            continue
        if isinstance(value, Mapping) and isinstance(there, Mapping):
            result[key] = merge(there, value)
        elif there is not None and _named(value) and _named(there):
            replaced = {item["name"] for item in value}
            result[key] = [item for item in there if item["name"] not in replaced] + list(value)
        else:
            result[key] = value
    return result


def _named(value: Any) -> bool:
    """Return True for a list of maps that all have a name."""
    return isinstance(value, (list, tuple)) and all(isinstance(item, Mapping) and "name" in item for item in value)


def owned_keys(given: Mapping[str, Any], owned: Mapping[str, Any], path: str = "") -> list[Finding]:
    """Refuse keys of a user's map that the plan sets.

    owned: key to what to use instead, or to a nested map of keys. A list of {name, value} counts as a map by name.
    """
    problems: list[Finding] = []
    for key, instead in owned.items():
        if key not in given:
            continue
        here = "%s.%s" % (path, key)
        if isinstance(instead, Mapping):
            inner = {item["name"]: item for item in given[key]} if _named(given[key]) else given[key]
            if isinstance(inner, Mapping):
                problems += owned_keys(inner, instead, here)
        elif instead:
            problems.append(Finding("inputs.owned_key", "%s is set by the plan. Use %s." % (here, instead), value=here))
        else:
            problems.append(Finding("inputs.owned_key", "%s is set by the plan. Remove it." % here, value=here))
    return problems


def dump(*documents: Mapping[str, Any]) -> str:
    """Return the YAML text of one or several documents, their keys in the given order."""
    texts = [_dump(json.dumps(plain(document))) for document in documents]
    return "---\n".join([""] + texts) if len(texts) > 1 else texts[0]


@lru_cache(maxsize=1024)
def _dump(text: str) -> str:
    # Nodes that are alike get the same files: the slow writer runs once for each kind.
    return yaml.dump(json.loads(text), Dumper=_Dumper, sort_keys=False, width=160)


def plain(value: Any) -> Any:
    """Return the value in plain types: values that come through Ansible may be subclasses that no YAML writer knows."""
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    for kind in (bool, int, float, str):
        if isinstance(value, kind):
            return kind(value)
    return value
