# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Read and validate inputs.

The roles' argument specs are the one source of names, types, defaults and choices; formats.py adds ranges and forms.
Values are converted and checked by Ansible's own ArgumentSpecValidator, one option at a time, so that each message has
the exact path and value.
"""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any

import yaml
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator

from ..base import versions
from ..base.findings import Finding
from ..base.resources import ROLES
from . import formats, hints
from .foreign import dialects
from .foreign.dialect import Dialect
from .groups import FAMILIES

Spec = dict[str, Any]

# Roles whose inputs describe the cluster and its nodes.
CLUSTER_ROLES = ("kube", "kubeadm", "k3s")
# Roles with inputs of their own playbook.
RUN_ROLES = ("verify", "reset", "local", "backup", "remove", "restore", "rotate", "upgrade")
PREFIXES = ("kube_", "kubeadm_", "kubelet_", "k3s_")
RUN_PREFIXES = ("plan_", "replace_", *(role + "_" for role in RUN_ROLES))
# Options of the playbook plan, and of the role kube for other playbooks; they are not inputs of the cluster.
PLAN_OPTIONS: Spec = {
    "plan_json": {"type": "path"},
    "plan_html": {"type": "path"},
    "plan_fail": {"type": "bool", "default": False},
    "write_inputs": {"type": "path"},
    "operation": {"type": "str", "choices": ["backup", "remove", "replace", "restore", "rotate", "upgrade"]},
}
# Names with these prefixes that are groups.
NOT_INPUTS = (*FAMILIES[0].control_plane, *FAMILIES[0].worker, "kube_cluster")

_EXPECTED = {
    "str": "text",
    "path": "a path",
    "int": "a whole number",
    "float": "a number",
    "bool": "true or false",
    "list": "a list",
    "dict": "a map (key: value)",
}


@lru_cache(maxsize=None)
def specification() -> Spec:
    """Return the specification of every input of the cluster by name, as in the roles' meta/argument_specs.yml."""
    return _specifications(CLUSTER_ROLES)


@lru_cache(maxsize=None)
def run_specification(playbook: str = "") -> Spec:
    """Return the specification of the options of one playbook by name, or of all of them."""
    if playbook == "plan":
        return PLAN_OPTIONS
    options = {**_specifications(RUN_ROLES), **({} if playbook else PLAN_OPTIONS)}
    return {name: spec for name, spec in options.items() if name.startswith(playbook + "_" if playbook else "")}


def entry_points(role: str) -> dict[str, Spec]:
    """Return the options of each entry point of a role, as in its meta/argument_specs.yml."""
    with open(os.path.join(ROLES, role, "meta", "argument_specs.yml"), encoding="utf-8") as stream:
        specs = yaml.safe_load(stream)["argument_specs"]
    return {name: point["options"] for name, point in specs.items()}


def _specifications(roles: Iterable[str]) -> Spec:
    found = [entry_points(role)["main"] for role in roles]
    # Options of type raw are inputs that another role declares (docs/generate.py).
    return {name: spec for options in found for name, spec in options.items() if spec["type"] != "raw"}


def is_input(name: str) -> bool:
    """Return True if a variable of this name is meant for the collection's cluster."""
    return name.startswith(PREFIXES) and name not in NOT_INPUTS


def unknown(names: Iterable[str]) -> list[Finding]:
    """Return a refusal for each name that only looks like an input of a playbook (reset_*, verify_*, and so on)."""
    known = run_specification()
    wrong = [
        name
        for name in names
        if name.startswith(RUN_PREFIXES) and name not in known and not dialects.knows(name)  # local_path_provisioner_*
    ]
    return [_unknown(name, known) for name in sorted(set(wrong))]


def run_options(playbook: str, given: Mapping[str, Any]) -> tuple[dict[str, Any], list[Finding]]:
    """Return the options of a playbook by name without its prefix, complete, and what is wrong with those given."""
    values: dict[str, Any] = {}
    problems: list[Finding] = []
    for name, spec in run_specification(playbook).items():
        value, wrong = _checked(name, given, spec)
        problems += wrong
        values[name.removeprefix(playbook + "_")] = _without_none(value)
    return values, problems


def _without_none(value: Any) -> Any:
    """Return the value without keys that were not set."""
    if isinstance(value, list):
        return [_without_none(item) for item in value]
    if isinstance(value, dict):
        return {key: _without_none(item) for key, item in value.items() if item is not None}
    return value


# With their defaults other inputs would be called wrong: these say that the cluster is made elsewhere.
_KEPT = ("k3s_server_url",)


def validate(given: Mapping[str, Any]) -> tuple[dict[str, Any], list[Finding]]:
    """Complete and check one host's variables.

    given: the host's variables whose names are inputs (is_input).
    Returns every input with its default filled in, and all problems. An input with a problem has its default, so that
    nothing else is said about it.
    """
    known = specification()
    problems = [_unknown(name, known) for name in sorted(set(given) - set(known))]
    newer = versions.is_newer(given.get("kube_version"))
    values = {}
    for name, spec in known.items():
        values[name], wrong = _checked(name, given, spec, newer)
        if wrong and name not in _KEPT:
            values[name] = _default(name, spec, [])
        problems += wrong
    return values, problems


def _checked(name: str, given: Mapping[str, Any], spec: Spec, newer: bool = False) -> tuple[Any, list[Finding]]:
    """Return the value of an input in its type, complete, and what is wrong with it, each thing once."""
    wrong: list[Finding] = []
    value = _value(name, given.get(name), spec, wrong)
    said = {finding.text.partition(":")[0] for finding in wrong}
    forms = formats.problems(name, value, newer) if name in given else []
    return value, wrong + [finding for finding in forms if not _is_said(str(finding.value), said)]


def _is_said(path: str, said: set[str]) -> bool:
    """Return True if a value, or a part of it, was called wrong already."""
    return any(one == path or one.startswith((path + ".", path + "[")) for one in said)


def misspelt(name: str, dialect: Dialect) -> Finding | None:
    """Return the refusal of a name of another project's inventory that resembles an input or a name of the project."""
    near = dialects.near(name, specification(), dialect)
    return _finding(name, near) if near else None


def _unknown(name: str, known: Iterable[str], where: str = "") -> Finding:
    if not where and known is specification():
        return _finding(name, dialects.near(name, specification(), None))
    return _finding(name, hints.near(name, known, where), where)


def _finding(name: str, near: str, where: str = "") -> Finding:
    hint = "did you mean %s?" % near if near else "remove it, or see docs/reference/inputs.md"
    if where == "kube_registries" and not near:
        hint = "write the registry in its mirrors or configs"
    text = "%s has no key %s; %s" % (where, name, hint) if where else "unknown input %s; %s" % (name, hint)
    return Finding("inputs.unknown", text, value="%s.%s" % (where, name) if where else name)


def _value(path: str, value: Any, spec: Spec, problems: list[Finding]) -> Any:
    if value is None or spec.get("required") and value == "":
        if spec.get("required"):
            problems.append(Finding("inputs.missing", "%s is missing" % path, value=path))
        return _default(path, spec, problems)
    kind, choices = spec.get("type", "str"), spec.get("choices", ())
    if isinstance(value, bool) and "off" in choices:
        value = "on" if value else "off"  # YAML reads a bare off as false
    if kind == "str" and choices and not isinstance(value, str):
        _is_choice(path, value, choices, problems)
        return _default(path, spec, problems)
    converted, good = _converted(path, value, {"type": kind}, problems)
    if not good:
        return _default(path, spec, problems)
    if kind == "list":
        element = {"type": spec.get("elements", "str"), "choices": spec.get("choices")}
        return [
            _element("%s[%d]" % (path, number), item, element, spec, problems) for number, item in enumerate(converted)
        ]
    if spec.get("options"):
        return _options(path, converted, spec["options"], problems)
    if spec.get("choices") and not _is_choice(path, converted, spec["choices"], problems):
        return _default(path, spec, problems)
    return converted if _is_one_line(path, converted, problems) else _default(path, spec, problems)


def _is_one_line(path: str, value: Any, problems: list[Finding]) -> bool:
    found = formats.several_lines(path, value) if isinstance(value, str) else None
    problems += [found] if found else []
    return not found


def _element(path: str, item: Any, element: Spec, spec: Spec, problems: list[Finding]) -> Any:
    if item is None:
        text = "%s: expected %s, got an empty entry. Remove it." % (path, _EXPECTED[element["type"]])
        problems.append(Finding("inputs.type", text, value=path, limit=element["type"]))
        return {} if element["type"] == "dict" else ""
    converted, good = _converted(path, item, {"type": element["type"]}, problems)
    if not good:
        return {} if element["type"] == "dict" else ""
    if element["type"] == "dict" and spec.get("options"):
        return _options(path, converted, spec["options"], problems)
    if element["choices"]:
        _is_choice(path, converted, element["choices"], problems)
    return converted if _is_one_line(path, converted, problems) else ""


def _options(path: str, value: dict[str, Any], options: Spec, problems: list[Finding]) -> dict[str, Any]:
    problems += [_unknown(str(key), options, path) for key in sorted(set(value) - set(options), key=str)]
    return {key: _value("%s.%s" % (path, key), value.get(key), spec, problems) for key, spec in options.items()}


def _default(path: str, spec: Spec, problems: list[Finding]) -> Any:
    default = spec.get("default")
    if isinstance(default, dict) and spec.get("options"):
        return _options(path, default, spec["options"], problems)
    return default.copy() if isinstance(default, (dict, list)) else default


@lru_cache(maxsize=None)
def _validator(kind: str) -> ArgumentSpecValidator:
    return ArgumentSpecValidator({"value": {"type": kind}})


def _converted(path: str, value: Any, spec: Spec, problems: list[Finding]) -> tuple[Any, bool]:
    """Return the value in its type, and True if it has that type or is text for it (`-e` gives only text)."""
    kind = spec["type"]
    if kind == "str" and _is_changed(path, value):
        found = "a number" if is_secret(path) else "the number %s" % value
        text = "%s: expected text, got %s, which YAML may have changed; put it in quotes"
        problems.append(Finding("inputs.type", text % (path, found), value=shown(path, value), limit=kind))
        return None, False
    # Ansible would turn these into text, or text into a map.
    strict = {"str": (bool, dict, list, tuple), "path": (bool, dict, list, tuple), "int": (bool,), "float": (bool,)}
    wrong = isinstance(value, strict.get(kind, ())) or kind == "dict" and not isinstance(value, Mapping)
    if kind == "list" and isinstance(value, (bool, int, float, Mapping)):
        wrong = True
    if not wrong and not _if_braces(kind, value):
        if kind == "dict":
            return _with_text_keys(path, value, problems), True
        if kind == "list" and isinstance(value, str):
            return [item.strip() for item in value.split(",") if item.strip()], True
        if kind in ("int", "float") and isinstance(value, str):
            value = value.strip()
        with contextlib.suppress(OverflowError):  # of infinity as an integer
            result = _validator(kind).validate({"value": value})
            if not result.error_messages:
                return result.validated_parameters["value"], True
    problems.append(
        Finding(
            "inputs.type",
            "%s: expected %s, got %s%s" % (path, _EXPECTED[kind], shown(path, value), _if_braces(kind, value)),
            value=shown(path, value),
            limit=kind,
        )
    )
    return None, False


# Text that may be a number: it means the same, however YAML writes it, or its form is checked.
_NUMERIC = re.compile(r"kube_version|kube_workers_at_once|kube_reserved\.\w+|local_memory|local_nodes\[\d+\]\.memory")
# Text that may be a whole number, and would be another one if YAML read it as such.
_NEVER_A_NUMBER = re.compile(r".*(^|[._])(password|access_key|secret_key|token|passphrase|schedule|ports\[\d+\])")


def _is_changed(path: str, value: Any) -> bool:
    """Return True if a number may be another text than was written: 1.10, 0123, 12:30 or 1_000 in YAML."""
    if isinstance(value, float):
        return not _NUMERIC.fullmatch(path)
    return isinstance(value, int) and not isinstance(value, bool) and bool(_NEVER_A_NUMBER.fullmatch(path))


def _if_braces(kind: str, value: Any) -> str:
    """Return the way out for a map or list that an INI inventory, or -e NAME=VALUE, hands on as text."""
    text = value.strip() if isinstance(value, str) else ""
    if text[:1] + text[-1:] != {"dict": "{}", "list": "[]"}.get(kind):
        return ""
    return ". It is text: write it in a YAML file (group_vars), or in an INI inventory with every word in quotes"


def _with_text_keys(path: str, value: Mapping[Any, Any], problems: list[Finding]) -> dict[str, Any]:
    """Return a map with its keys as text, and refuse keys that YAML reads as something else than text or a number."""
    for key in value:
        if key is None or isinstance(key, (bool, float, tuple)):
            text = "%s: its key %s is not text. Put it in quotes." % (path, "(empty)" if key is None else key)
            problems.append(Finding("inputs.key", text, value=path))
    return {str(key): item for key, item in value.items()}


def _is_choice(path: str, value: Any, choices: list[Any], problems: list[Finding]) -> bool:
    if value in choices:
        return True
    listed, found = ", ".join(map(str, choices)), shown(path, value)
    problems.append(
        Finding("inputs.choice", "%s: expected one of %s, got %s" % (path, listed, found), value=found, limit=listed)
    )
    return False


# Inputs that hold secrets, or may hold them: their values appear in no message.
SECRET = re.compile(
    r"(backup_passphrase|k3s_token|k3s_join_token|k3s_datastore_endpoint|k3s_datastore_tls|k3s_config"
    r"|kube_backup(?:\.(?:to|recipients).*)?$|kube_registries|kube_http_proxy|kube_api_endpoint\.password"
    r"|kubeadm_(?:init|join|cluster)_config)\b"
    r"|.*\.(content|chart_content|values|set)\b|(kube|k3s)_(manifests|helm_charts|helm_configs)(\[\d+\])?$"
)

# Inputs whose values hold secrets only in some keys that SECRET names.
PARTLY_SECRET = ("kube_manifests", "k3s_manifests", "k3s_helm_charts", "k3s_helm_configs")


def shown_repr(name: str, text: str) -> str:
    """Return a value, given as its repr(), as it is shown in a message; of a secret input only that it has one."""
    if is_secret(name):
        return "one value"
    return text if len(text) <= 60 else text[:57] + "..."


def is_secret(path: str) -> bool:
    """Return True if an input holds a secret, or may hold one."""
    return bool(SECRET.match(path))


def shown(path: str, value: Any) -> str:
    """Return a value as messages show it: text in quotes, cut after 60 characters; of a secret only its type."""
    if is_secret(path):
        return {"str": "text", "dict": "a map", "list": "a list"}.get(type(value).__name__, "another value")
    text = '"%s"' % value if isinstance(value, str) else repr(value)
    return text if len(text) <= 60 else text[:57] + "..."
