# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Check a user's map of K3s's settings.

K3s only logs a key that it does not know, ignores it and starts (pkg/configfilearg/parser.go). A setting that is
misspelt, or that belongs to the other role or to another version, would have no effect, so it is refused here.
"""

from __future__ import annotations

import difflib
import ipaddress
import re
from collections.abc import Callable, Mapping
from typing import Any

from ..base import versions
from ..base.findings import Finding
from ..base.yaml_documents import owned_keys
from ..inputs import forms
from .config import ROLES
from .config_keys import (
    ADDRESSES,
    AGENT,
    AGENT_PAGE,
    AGENT_SINCE,
    BOOL,
    CHOICES,
    CRON,
    DEPRECATED,
    DURATION,
    HOSTS,
    IMAGES,
    KEYS,
    LIST,
    MODE,
    NUMBER,
    OLDEST,
    PATHS,
    PORT_RANGES,
    REMOVED,
    REMOVED_PAGE,
    SECRET,
    SERVER,
    SERVER_PAGE,
    SINCE,
)

_Version = tuple[int, int, "int | None"]

# Keys that the plan sets, and the input to use instead; empty if there is none.
OWNED = {
    "agent-token": "",
    "agent-token-file": "",
    "cluster-cidr": "kube_pod_cidrs",
    "cluster-domain": "kube_cluster_domain",
    "cluster-init": "",
    "data-dir": "kube_data_dir",
    "datastore-endpoint": "k3s_datastore_endpoint",
    "disable": "k3s_disable",
    "flannel-backend": "kube_network",
    "https-listen-port": "kube_api_port",
    "lb-server-port": "kube_api_endpoint.port",
    "node-ip": "kube_node_ip",
    "node-label": "kube_node_labels",
    "node-name": "kube_node_name",
    "node-taint": "kube_node_taints",
    "private-registry": "kube_registries",
    "secrets-encryption": "k3s_secrets_encryption",
    "server": "",
    "service-cidr": "kube_service_cidrs",
    "tls-san": "kube_api_sans",
    "token": "k3s_token",
    "token-file": "k3s_token",
    "with-node-id": "kube_node_name",
    "write-kubeconfig": "kube_kubeconfig",
}
_PARTS = "each server of the plan runs all parts of K3s"
# Keys that do not work with the plan, and why.
UNSUPPORTED = {
    "cluster-reset": "K3s would start as the only member of the cluster each time",
    "container-runtime-endpoint": "nodes use K3s's containerd",
    "disable-agent": _PARTS,
    "disable-apiserver": _PARTS,
    "disable-controller-manager": _PARTS,
    "disable-etcd": _PARTS,
    "disable-scheduler": _PARTS,
    "docker": "nodes use K3s's containerd",
    "rootless": "nodes run K3s as root",
}
_PAGES = {SERVER: SERVER_PAGE, AGENT: AGENT_PAGE}
_DURATION = re.compile(r"([0-9]+(\.[0-9]+)?(ns|us|ms|s|m|h))+")
_TESTS: dict[str, Callable[[Any], Any]] = {
    BOOL: lambda value: isinstance(value, bool) or str(value) in ("true", "True", "false", "False"),
    NUMBER: lambda value: not isinstance(value, bool) and re.fullmatch(r"-?[0-9]+", str(value)),
    DURATION: lambda value: _DURATION.fullmatch(str(value)),
    # Without quotes, 0644 is the number 420 in YAML, which K3s reads as mode 0420.
    MODE: lambda value: isinstance(value, str) and re.fullmatch(r"0?[0-7]{3}", value),
}


def problems(given: Any, role: str, version: str, owned: Mapping[str, str] | None = None) -> list[Finding]:
    """Check a map of K3s's settings.

    role: server or agent (control_plane, worker). version: as "1.36.3", or "1.36" for its newest patch.
    owned: keys that the caller sets, with the input to use instead. With None, those that the plan sets, and keys that
    do not work with the plan are refused too.
    Raise ValueError if the role is unknown, or the version is not one or too old.
    """
    side, number = _side(role), _version(version)
    owned, unsupported = (OWNED, UNSUPPORTED) if owned is None else (owned, {})
    if not isinstance(given, dict):
        text = "k3s_config: expected a map of K3s's settings, got %s. See %s for the settings."
        return [Finding("k3s_config.type", text % (_type(given), _PAGES[side]), value=_type(given), limit="a map")]
    found = owned_keys({str(key).rstrip("+"): value for key, value in given.items()}, owned, "k3s_config")
    for key in sorted(given, key=str):
        name = str(key)[:-1] if str(key).endswith("+") else str(key)
        if name in unsupported:
            text = "k3s_config.%s is not supported, because %s. Remove it."
            found.append(Finding("k3s_config.unsupported_key", text % (name, unsupported[name]), value=name))
        elif name not in owned:
            found += _check_key(name, side, number, owned) or _check_value(str(key), name, given[key])
    return found


def covers(version: str) -> bool:
    """Return True if the settings of a version are known."""
    return versions.parse(version)[:2] >= OLDEST


def deprecated(given: Mapping[str, Any], version: str) -> list[Finding]:
    """Warn of keys that K3s accepts under an old name, if this version knows the new one."""
    number = _version(version)
    text = "k3s_config.%s is deprecated. Use %s instead."
    return [
        Finding("k3s_config.deprecated_key", text % (key, DEPRECATED[key]), value=key, limit=DEPRECATED[key])
        for key in sorted(given)
        if key in DEPRECATED and _knows(SINCE.get(DEPRECATED[key], ""), number)
    ]


def _side(role: str) -> str:
    if role not in ROLES:
        raise ValueError("expected the role server or agent, got %r" % (role,))
    return ROLES[role]


def _version(text: str) -> _Version:
    number: _Version = versions.parse(text)
    if number[:2] < OLDEST:
        oldest = "%d.%d" % OLDEST
        raise ValueError("K3s %s is too old: only the settings of %s and later are known" % (text, oldest))
    return number


def _type(value: Any) -> str:
    """Return the type of a value, which itself may be secret."""
    if value is None:
        return "nothing"
    names = {str: "text", bool: "true or false", int: "a number", float: "a number", dict: "a map"}
    return next((name for kind, name in names.items() if isinstance(value, kind)), "a list")


def _check_key(name: str, side: str, version: _Version, owned: Mapping[str, str]) -> list[Finding]:
    """Check that this role and this version of K3s know a key."""
    here = "k3s_config." + name
    if name in REMOVED:
        release, instead = REMOVED[name]
        instead = owned.get(instead.partition(":")[0]) or instead
        text = "%s: K3s removed this setting in %s (%s); use %s instead." % (here, release, REMOVED_PAGE, instead)
        return [Finding("k3s_config.removed_key", text, value=name, limit=release)]
    if name not in KEYS:
        near = difflib.get_close_matches(name.replace("_", "-").lower(), KEYS, n=1)
        hint = "did you mean %s?" % near[0] if near else "see %s for its settings." % _PAGES[side]
        text = "%s: K3s has no setting of this name and would ignore it; %s" % (here, hint)
        return [Finding("k3s_config.unknown_key", text, value=name, limit=near[0] if near else None)]
    roles = KEYS[name].roles
    if side not in roles:
        role = roles[0]
        text = "%s is a setting of %ss only; K3s would ignore it on %ss. Set it for the group of the %ss only."
        return [Finding("k3s_config.other_role", text % (here, role, side, role), value=name, limit=role)]
    since = SINCE.get(name) or (AGENT_SINCE.get(name) if side == AGENT else None) or ""
    if not _knows(since, version):
        shown = ".".join(str(part) for part in version if part is not None)
        limit = " or ".join(since.split())
        text = "%s: K3s %s does not have this setting; it needs %s or later. Remove it, or use a newer kube_version."
        return [Finding("k3s_config.newer_key", text % (here, shown, limit), value=name, limit=limit)]
    return []


def _knows(since: str, version: _Version) -> bool:
    """Return True if a version has what came with these patches. Without a patch, it is its minor's newest."""
    if not since:
        return True
    first = [versions.parse(text) for text in since.split()]
    for row in first:
        if row[:2] == version[:2]:
            return version[2] is None or version[2] >= (row[2] or 0)
    return bool(version[:2] > first[-1][:2])


def _check_value(key: str, name: str, value: Any) -> list[Finding]:
    """Check the value of a key."""
    here, kind = "k3s_config." + key, KEYS[name].kind
    if value is None or value == "":
        text = "%s is empty; K3s needs %s here. Set a value, or remove the key."
        return [Finding("k3s_config.no_value", text % (here, kind), value=key, limit=kind)]
    if key != name and kind != LIST:
        text = "%s: K3s needs %s here, and the plus is only for lists. Write %s."
        return [Finding("k3s_config.not_a_list", text % (here, kind, name), value=key, limit=kind)]
    if kind == LIST:
        items = value if isinstance(value, (list, tuple)) else [value]
        return _check_items(key, items) or _check_form(here, name, items)
    if isinstance(value, (dict, list, tuple)) or not _TESTS.get(kind, lambda _value: True)(value):
        shown = _type(value) if name in SECRET or isinstance(value, (dict, list, tuple)) else repr(value)
        text = "%s: K3s needs %s here, got %s."
        return [Finding("k3s_config.value", text % (here, kind, shown), value=shown, limit=kind)]
    if name in CHOICES and value not in CHOICES[name]:
        choices = ", ".join(CHOICES[name])
        text = "%s: expected one of %s, got %r." % (here, choices, value)
        return [Finding("k3s_config.choice", text, value=value, limit=choices)]
    return _check_form(here, name, [value])


def _check_form(here: str, name: str, values: Any) -> list[Finding]:
    """Check values that have a form: with another one K3s would not start, or do what it is for."""
    parts = (
        [str(item) for item in values] if name in CRON else [part for item in values for part in str(item).split(",")]
    )
    for names, test, kind in _FORMS:
        wrong = [value for value in parts if name in names and not test(value)]
        if wrong:
            shown = "a value with a login" if "@" in wrong[0] and name not in CRON else repr(wrong[0])
            text = "%s: K3s needs %s here, got %s."
            return [Finding("k3s_config.value", text % (here, kind, shown), value=shown.strip("'"), limit=kind)]
    return []


# The fields of an expression: the lowest and the highest number, and names.
# https://pkg.go.dev/github.com/robfig/cron/v3
_MONTHS = "jan feb mar apr may jun jul aug sep oct nov dec".split()
_DAYS = "sun mon tue wed thu fri sat".split()
_CRON: tuple[tuple[int, int, list[str]], ...] = ((0, 59, []), (0, 23, []), (1, 31, []), (1, 12, _MONTHS), (0, 6, _DAYS))


def _is_cron(text: str) -> bool:
    text = re.sub(r"^(CRON_)?TZ=\S+ +", "", text)
    if text.startswith("@"):
        every = _DURATION.fullmatch(text[len("@every ") :]) if text.startswith("@every ") else None
        return bool(every) or text[1:] in ("yearly", "annually", "monthly", "weekly", "daily", "midnight", "hourly")
    words = text.split()
    return len(words) == len(_CRON) and all(map(_is_cron_field, words, _CRON))


def _is_cron_field(word: str, limits: tuple[int, int, list[str]]) -> bool:
    low, high, names = limits
    for part in word.lower().split(","):
        whole, slash, step = part.partition("/")
        ends = [str(names.index(end) + low) if end in names else end for end in whole.split("-")]
        if slash and not (step.isdigit() and int(step)):
            return False
        if whole not in ("*", "?") and not (len(ends) < 3 and all(end.isdigit() for end in ends)):
            return False
        if whole not in ("*", "?") and not low <= int(ends[0]) <= int(ends[-1]) <= high:
            return False
    return True


def _is_address(text: str) -> bool:
    try:
        return bool(ipaddress.ip_address(text))
    except ValueError:
        return False


def _is_range(text: str) -> bool:
    found = re.fullmatch(r"([0-9]{1,5})-([0-9]{1,5})", text)
    return found is not None and 0 < int(found.group(1)) <= int(found.group(2)) < 65536


_FORMS: tuple[tuple[tuple[str, ...], Callable[[str], Any], str], ...] = (
    (ADDRESSES, _is_address, "an address such as 10.0.0.5"),
    (PORT_RANGES, _is_range, "a range of ports such as 30000-32767"),
    (PATHS, lambda text: text.startswith("/"), "an absolute path"),
    (
        HOSTS,
        lambda text: re.fullmatch(r"[^/\s]+", text),
        "a host such as registry.example:5000, without https:// and path",
    ),
    (IMAGES, lambda text: not forms.image(text), "an image such as registry.example/name:tag"),
    (CRON, _is_cron, 'an expression of cron such as "0 */6 * * *" (minute hour day month weekday)'),
)


def _check_items(key: str, items: Any) -> list[Finding]:
    """Check the items of a list."""
    found = []
    for number, item in enumerate(items):
        if item is None or item == "" or isinstance(item, (dict, list, tuple)):
            shown = "an empty item" if item in (None, "") else _type(item)
            text = "k3s_config.%s[%d]: K3s needs a text such as key=value here, got %s." % (key, number, shown)
            found.append(Finding("k3s_config.list_item", text, value=shown, limit="text"))
    return found
