# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Check inputs that are whole configurations of Kubernetes' components: names of fields, types and ranges.

The components ignore an unknown field, or do not start with a wrong type.
"""

from __future__ import annotations

import difflib
import ipaddress
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Union

_PART = r"([0-9]+(?:\.[0-9]+)?)(ns|us|ms|s|m|h)"
DURATION = re.compile("0|(?:%s)+" % _PART)
_SECONDS = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 1e-3, "us": 1e-6, "ns": 1e-9}
_QUANTITY = re.compile(r"[0-9]+(\.[0-9]+)?([KMGTPE]i|[kMGTPE])?")
_THRESHOLD = re.compile(r"[0-9]+(\.[0-9]+)?(%|[KMGTPE]i|[mkMGTPE])?")
# The first part of the phases of init and join: cmd/kubeadm/app/cmd/phases of Kubernetes 1.34.4 to 1.37.2
_PHASES = """
    addon bootstrap-token certs control-plane control-plane-join control-plane-prepare etcd etcd-join kubeconfig
    kubelet-finalize kubelet-start kubelet-wait-bootstrap mark-control-plane preflight show-join-command upload-certs
    upload-config wait-control-plane
""".split()
_CPUS = re.compile(r"[0-9]+(-[0-9]+)?(,[0-9]+(-[0-9]+)?)*")
# pkg/kubelet/sysctl/allowlist.go, with * at the end for all below
_SYSCTL = re.compile(r"([a-z0-9]([-_a-z0-9]*[a-z0-9])?[./])*([a-z0-9][-_a-z0-9]*)?([a-z0-9*])")
_REPOSITORY = re.compile(r"[a-z0-9][A-Za-z0-9._-]*(:[0-9]{1,5})?(/[a-z0-9][a-z0-9._-]*)*")
# Values that may be secret are not shown.
_SECRET = re.compile(r"token|[kK]ey$|\.value$|Header", re.IGNORECASE)


@dataclass(frozen=True)
class Kind:
    """The type of a field, as Go's JSON decoder wants it: a number in quotes is not a number.

    name: one of WORDS. low, high: range of a whole number. choices: the only texts.
    """

    name: str
    low: int | None = None
    high: int | None = None
    choices: tuple[str, ...] = ()


BOOL, INTEGER, NUMBER, TEXT, TEXTS = (Kind(name) for name in ("bool", "int", "number", "text", "texts"))
DURATIONS, THRESHOLD = Kind("duration"), Kind("threshold")
QUANTITY, ADDRESS, ADDRESSES = Kind("quantity"), Kind("address"), Kind("addresses")
PATH, ADDRESS_AND_PORT, CPUS, SYSCTLS, REPOSITORY, PHASES, NODE_PORT_ADDRESSES = (
    Kind(name)
    for name in ("path", "address and port", "cpus", "sysctls", "repository", "phases", "networks or primary")
)
MAP_OF_TEXT, MAP_OF_BOOL, MAP, LIST = (Kind(name) for name in ("map of text", "map of bool", "map", "list"))
NOT_NEGATIVE, PORT, PERCENT = Kind("int", 0), Kind("int", 1, 65535), Kind("int", 0, 100)
WORDS = {
    "bool": "true or false",
    "int": "a whole number",
    "number": "a number",
    "text": "text",
    "duration": "a duration such as 30s",
    "duration or nanoseconds": "a duration such as 5s",
    "quantity": "a quantity such as 10Mi",
    "address": "an IP address",
    "addresses": "a list of IP addresses",
    "address and port": "an address such as 0.0.0.0:10249",
    "path": "an absolute path",
    "cpus": "a list of CPUs such as 0-1,4",
    "sysctls": "a list of kernel parameters such as net.core.somaxconn or net.ipv4.*",
    "phases": "a list of kubeadm's phases, such as addon/kube-proxy",
    "networks or primary": "a list of networks such as 10.0.0.0/24, or of primary",
    "repository": "a registry and a path, such as registry.example/k8s",
    "threshold": "a quantity or a share, such as 200Mi or 5%, of 100% at most",
    "texts": "a list of texts",
    "map of text": "a map whose values are text",
    "map of bool": "a map whose values are true or false",
    "map": "a map",
    "list": "a list",
}


@dataclass(frozen=True)
class ListOf:
    """A list of maps with these fields. required: those that each has."""

    fields: Fields
    required: tuple[str, ...] = ()


# By the name of a field: its type, or the fields of the map that it holds.
Fields = Mapping[str, Union[Kind, ListOf, "Fields"]]
# (path, what is wrong, way out)
Wrong = tuple[str, str, str]


def problems(where: str, given: Mapping[Any, Any], known: Fields, newer: bool = False) -> Iterator[Wrong]:
    """Yield what is wrong with a map. newer: True if fields may exist that the table does not know."""
    for name, value in given.items():
        here = "%s.%s" % (where, name)
        kind = known.get(str(name))
        if kind is None:
            near = difflib.get_close_matches(str(name), list(known), n=1)
            if near or not newer:
                yield here, "unknown field", "did you mean %s?" % near[0] if near else "remove it"
        elif value is not None:
            yield from _value(here, value, kind, newer)


def _value(where: str, value: Any, kind: Kind | ListOf | Fields, newer: bool) -> Iterator[Wrong]:
    if isinstance(kind, Kind):
        wrong = _wrong(value, kind, "text" if _SECRET.search(where) else _shown(value))
        if wrong:
            yield (where, *wrong)
    elif isinstance(kind, ListOf):
        if not isinstance(value, (list, tuple)) or not all(isinstance(item, Mapping) for item in value):
            names = ", ".join(list(kind.fields)[:3])
            yield where, "expected a list of maps, got %s" % _shown(value), "write each as a map with %s" % names
            return
        for number, item in enumerate(value):
            here = "%s[%d]" % (where, number)
            missing = [name for name in kind.required if not item.get(name)]
            if set(map(str, item)) <= set(kind.fields):  # a misspelt name is said anyway
                yield from ((here, "%s is missing" % name, "set it") for name in missing)
            yield from problems(here, item, kind.fields, newer)
    elif not isinstance(value, Mapping):
        yield where, "expected a map, got %s" % _shown(value), "give it %s" % ", ".join(list(kind)[:4])
    else:
        yield from problems(where, value, kind, newer)


def _wrong(value: Any, kind: Kind, shown: str) -> tuple[str, str] | None:
    if kind.name in _ITEMS and isinstance(value, Mapping):
        test, words = _ITEMS[kind.name]
        key = next((key for key, item in value.items() if not isinstance(item, test)), None)
        if key is not None:
            return "%s of %s is not %s" % (_shown(value[key]), key, words), "write it without quotes" if (
                test is bool and str(value[key]).lower() in ("true", "false")
            ) else "put it in quotes" if test is str else "correct it"
    if not _TESTS[kind.name](value):
        hint = "remove the quotes" if kind.name == "int" and re.fullmatch(r"-?[0-9]+", str(value)) else "correct it"
        if kind.name == "text" and isinstance(value, (bool, int, float)):
            hint = "put it in quotes"
        return "expected %s, got %s" % (WORDS[kind.name], shown), hint
    if kind.choices and not set(value if isinstance(value, (list, tuple)) else [value]) <= set(kind.choices):
        return "%s is unknown" % shown, "use one of %s" % ", ".join(choice for choice in kind.choices if choice)
    low, high = kind.low, kind.high
    if low is not None and value < low or high is not None and value > high:
        limits = "%s or more" % low if high is None else "%s to %s" % (low, high)
        return "%s is out of range" % value, "use %s" % limits
    return None


# Of maps of one kind of values: the type of a value, and what it is called.
_ITEMS = {"map of text": (str, "text"), "map of bool": (bool, "true or false")}


def seconds(text: object) -> float:
    """Return the seconds of a duration such as 1m30s; 0 if it is none."""
    return sum(float(number) * _SECONDS[unit] for number, unit in re.findall(_PART, str(text)))


def _is_int(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_address(text: str) -> bool:
    try:
        return bool(ipaddress.ip_address(text))
    except ValueError:
        return False


def _is_cidr(text: str) -> bool:
    try:
        return "/" in text and bool(ipaddress.ip_network(text, strict=False))
    except ValueError:
        return False


def _is_place(text: str) -> bool:
    """Return True for an address, or one with a port."""
    host, colon, port = text.rpartition(":")
    return _is_address(text) or bool(colon) and port.isdigit() and int(port) < 65536 and _is_address(host.strip("[]"))


def _share(text: str) -> float:
    return float(text[:-1]) if text.endswith("%") else 0


def _is_map(value: Any, kind: type) -> bool:
    return isinstance(value, Mapping) and all(isinstance(item, kind) for item in value.values())


def _is_list(value: Any, kind: type) -> bool:
    return isinstance(value, (list, tuple)) and all(isinstance(item, kind) for item in value)


_TESTS = {
    "bool": lambda value: isinstance(value, bool),
    "int": _is_int,
    "number": lambda value: _is_int(value) or isinstance(value, float),
    "text": lambda value: isinstance(value, str),
    "duration": lambda value: isinstance(value, str) and DURATION.fullmatch(value),
    "duration or nanoseconds": lambda value: _is_int(value) or isinstance(value, str) and DURATION.fullmatch(value),
    "quantity": lambda value: isinstance(value, str) and _QUANTITY.fullmatch(value),
    "addresses": lambda value: _is_list(value, str) and all(map(_is_address, value)),
    "address": lambda value: isinstance(value, str) and (not value or _is_address(value)),
    "address and port": lambda value: isinstance(value, str) and (not value or _is_place(value)),
    # An empty path means something: resolvConf, for example, is then that of the runtime.
    "path": lambda value: isinstance(value, str) and (not value or value.startswith("/")),
    "cpus": lambda value: isinstance(value, str) and (not value or _CPUS.fullmatch(value)),
    "sysctls": lambda value: _is_list(value, str) and all(map(_SYSCTL.fullmatch, value)),
    "phases": lambda value: _is_list(value, str) and all(text.partition("/")[0] in _PHASES for text in value),
    "networks or primary": lambda value: (
        _is_list(value, str) and (list(value) == ["primary"] or all(map(_is_cidr, value)))
    ),
    "repository": lambda value: isinstance(value, str) and _REPOSITORY.fullmatch(value),
    "threshold": lambda value: isinstance(value, str) and _THRESHOLD.fullmatch(value) and _share(value) <= 100,
    "texts": lambda value: _is_list(value, str),
    "map of text": lambda value: _is_map(value, str),
    "map of bool": lambda value: _is_map(value, bool),
    "map": lambda value: isinstance(value, Mapping),
    "list": lambda value: isinstance(value, (list, tuple)),
}


def _shown(value: Any) -> str:
    names = {str: "text", dict: "a map", list: "a list", bool: "true or false", int: "a number", float: "a number"}
    if isinstance(value, str):
        return '"%s"' % value if len(value) <= 60 else '"%s..."' % value[:57]
    return names.get(type(value), "another value") if isinstance(value, (dict, list)) else str(value).lower()
