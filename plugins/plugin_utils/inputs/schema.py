# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The inputs: their specification, and what is wrong with the ones given.

The roles' argument specifications are the one source of types, defaults and choices.
"""

from __future__ import annotations

import difflib
import os
import re
from functools import lru_cache

import yaml

from ..base.resources import ROLES
from . import from_k3s_ansible as k3s_ansible

SHARED_ROLES = ("kube", "kubeadm", "k3s")
PREFIXES = ("kube_", "kubeadm_", "kubelet_", "k3s_")
# Names with these prefixes that are not inputs: groups, and what the collection registers itself.
INTERNAL = ("kube_control_plane", "kube_node", "kube_cluster", "kube_look", "kube_planned", "kube_joined", "k3s_joining")


@lru_cache(maxsize=None)
def specification() -> dict:
    """Every input's specification by name, as in the roles' meta/argument_specs.yml."""
    options = {}
    for role in SHARED_ROLES:
        with open(os.path.join(ROLES, role, "meta", "argument_specs.yml"), encoding="utf-8") as stream:
            options.update(yaml.safe_load(stream)["argument_specs"]["main"]["options"])
    return options


def is_input(name: str) -> bool:
    """Whether a variable of this name is meant for the collection."""
    return name.startswith(PREFIXES) and name not in INTERNAL


def of_host(variables, server: bool) -> tuple:
    """(the inputs among a host's variables, what is wrong with those of a k3s-ansible inventory or None). server: whether it is a control plane."""
    theirs = {name: variables[name] for name in k3s_ansible.VARIABLES if name in variables}
    ours = {name: variables[name] for name in list(variables) if is_input(name) and name not in theirs}
    try:
        return {**k3s_ansible.inputs(theirs, server), **ours}, None
    except ValueError as error:
        return ours, str(error)


def validate(given: dict) -> tuple:
    """Complete and check one host's variables.

    given: the host's variables whose names are inputs (is_input).
    Returns (values, problems): every input with its default filled in, and a list of sentences.
    """
    known = specification()
    problems = []
    for name in sorted(set(given) - set(known)):
        near = difflib.get_close_matches(name, known, n=1)
        problems.append("%s is no input of this collection%s" % (name, "; did you mean %s?" % near[0] if near else ""))
    values = {}
    for name, spec in known.items():
        values[name] = _value(name, given.get(name), spec, problems)
    return values, problems


def _value(path, value, spec, problems):
    if value is None:
        if spec.get("required"):
            problems.append("%s is missing" % path)
        return _default(path, spec, problems)
    if isinstance(value, bool) and "off" in spec.get("choices", ()):
        value = "on" if value else "off"  # YAML reads a bare off as false
    try:
        value = _typed(value, spec.get("type", "str"))
    except ValueError as error:
        problems.append("%s: %s" % (path, error))
        return _default(path, spec, problems)
    choices = spec.get("choices")
    if choices:
        for item in value if isinstance(value, list) else [value]:
            if item not in choices:
                problems.append("%s: %r is none of %s" % (path, item, ", ".join(map(str, choices))))
    if isinstance(value, list):
        return [_element("%s[%d]" % (path, number), item, spec, problems) for number, item in enumerate(value)]
    if spec.get("options"):
        return _options(path, value, spec["options"], problems)
    return value


def _element(path, item, spec, problems):
    if spec.get("elements") == "dict" and spec.get("options"):
        if not isinstance(item, dict):
            problems.append("%s: %r is no map" % (path, item))
            return {}
        return _options(path, item, spec["options"], problems)
    try:
        return _typed(item, spec.get("elements", "str"))
    except ValueError as error:
        problems.append("%s: %s" % (path, error))
        return ""


def _options(path, value, options, problems):
    for key in sorted(set(value) - set(options)):
        near = difflib.get_close_matches(key, options, n=1)
        problems.append("%s has no key %s%s" % (path, key, "; did you mean %s?" % near[0] if near else ""))
    return {key: _value("%s.%s" % (path, key), value.get(key), spec, problems) for key, spec in options.items()}


def _default(path, spec, problems):
    default = spec.get("default")
    if isinstance(default, dict) and spec.get("options"):
        return _options(path, default, spec["options"], problems)
    return default.copy() if isinstance(default, (dict, list)) else default


def _typed(value, wanted):
    """The value in the wanted type. Text is taken for what it plainly is, since `-e` gives only text."""
    if wanted in ("str", "path"):
        if isinstance(value, (bool, dict, list)):
            raise ValueError("%r is no text" % (value,))
        return os.path.expanduser(str(value)) if wanted == "path" else str(value)
    if wanted == "bool":
        return _boolean(value)
    if wanted in ("int", "float"):
        return _number(value, wanted)
    if wanted == "list":
        if isinstance(value, str):
            return [item.strip() for item in value.split(",") if item.strip()]
        if isinstance(value, (list, tuple)):
            return list(value)
        raise ValueError("%r is no list" % (value,))
    if wanted == "dict":
        if not isinstance(value, dict):
            raise ValueError("%r is no map" % (value,))
        return dict(value)
    return value


def _boolean(value):
    if isinstance(value, bool):
        return value
    text = str(value).strip().lower()
    if text in ("true", "yes", "on", "1"):
        return True
    if text in ("false", "no", "off", "0"):
        return False
    raise ValueError("%r is neither true nor false" % (value,))


def _number(value, wanted):
    if isinstance(value, bool) or not re.fullmatch(r"\s*[+-]?[0-9]+(\.[0-9]+)?\s*", str(value)):
        raise ValueError("%r is no number" % (value,))
    number = float(value)
    if wanted == "float":
        return number
    if number != int(number):
        raise ValueError("%r is no whole number" % (value,))
    return int(number)
