# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Writing configuration documents: merging a user's map over a computed one, and one YAML form for all."""

from __future__ import annotations

import json
from functools import lru_cache

import yaml


class _Dumper(yaml.SafeDumper):
    """Text with line breaks as a block; lists indented as people write them."""

    def increase_indent(self, flow=False, indentless=False):
        return super().increase_indent(flow, False)


_Dumper.add_representer(
    str,
    lambda dumper, text: dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|" if "\n" in text else None),
)


def merge(computed: dict, given: dict) -> dict:
    """A deep merge in which the given map wins; lists are replaced as a whole."""
    result = dict(computed)
    for key, value in given.items():
        if isinstance(value, dict) and isinstance(result.get(key), dict):
            result[key] = merge(result[key], value)
        else:
            result[key] = value
    return result


def owned_keys(given: dict, owned: dict, path: str = "") -> list:
    """Sentences on keys of a user's map that the plan owns. owned: key (or nested map of keys) to the input to use instead."""
    problems = []
    for key, instead in owned.items():
        if key not in given:
            continue
        here = "%s.%s" % (path, key)
        if isinstance(instead, dict):
            if isinstance(given[key], dict):
                problems += owned_keys(given[key], instead, here)
        else:
            problems.append("%s is set by the plan; use %s" % (here, instead))
    return problems


def dump(*documents: dict) -> str:
    """YAML text of one or several documents, in a stable order of keys as given."""
    texts = [_dump(json.dumps(plain(document))) for document in documents]
    return "---\n".join([""] + texts) if len(texts) > 1 else texts[0]


@lru_cache(maxsize=1024)
def _dump(text):
    # Like nodes get like files: the slow writer runs once for each kind.
    return yaml.dump(json.loads(text), Dumper=_Dumper, sort_keys=False, width=160)


def plain(value):
    """The value in plain types: values that come through Ansible may be subclasses that no YAML writer knows."""
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    for kind in (bool, int, float, str):
        if isinstance(value, kind):
            return kind(value)
    return value
