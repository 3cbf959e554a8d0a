# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is wrong with a map of K3s's settings.

K3s itself logs a line about a key that it does not know, drops it and starts (pkg/configfilearg/parser.go): a setting that was misspelt, is of the
other role or of another version is missed without a word. So it is refused here.
"""

from __future__ import annotations

import difflib
import re

from ..base import versions
from ..base.yaml_documents import owned_keys
from .config import ROLES
from .config_keys import (
    AGENT,
    AGENT_PAGE,
    AGENT_SINCE,
    BOOL,
    CHOICES,
    DEPRECATED,
    DURATION,
    KEYS,
    LIST,
    MODE,
    NUMBER,
    OLDEST,
    REMOVED,
    REMOVED_PAGE,
    SECRET,
    SERVER,
    SERVER_PAGE,
    SINCE,
)

_WHOLE = "nothing (each server of the plan is a whole one)"
_TOKENS = "nothing (tokens are made on the first server, and kept in files)"
# Keys that the plan sets, and the input to use instead.
OWNED = {
    "agent-token": _TOKENS,
    "agent-token-file": _TOKENS,
    "cluster-cidr": "kube_pod_cidrs",
    "cluster-domain": "kube_cluster_domain",
    "cluster-init": "nothing (a cluster is started only where no server has data)",
    "cluster-reset": "nothing (K3s would start as the only member each time)",
    "container-runtime-endpoint": "nothing (the runtime is K3s's containerd)",
    "data-dir": "kube_data_dir",
    "datastore-endpoint": "k3s_datastore_endpoint",
    "disable": "k3s_disable",
    "disable-agent": _WHOLE,
    "disable-apiserver": _WHOLE,
    "disable-controller-manager": _WHOLE,
    "disable-etcd": _WHOLE,
    "disable-scheduler": _WHOLE,
    "docker": "nothing (the runtime is K3s's containerd)",
    "flannel-backend": "kube_network",
    "https-listen-port": "kube_api_port",
    "lb-server-port": "kube_api_endpoint.port",
    "node-ip": "kube_node_ip",
    "node-label": "kube_node_labels",
    "node-name": "kube_node_name",
    "node-taint": "kube_node_taints",
    "private-registry": "kube_registries",
    "rootless": "nothing (nodes run as root)",
    "secrets-encryption": "k3s_secrets_encryption",
    "server": "nothing (the plan joins a living server)",
    "service-cidr": "kube_service_cidrs",
    "tls-san": "kube_api_sans",
    "token": _TOKENS,
    "token-file": _TOKENS,
    "with-node-id": "kube_node_name",
    "write-kubeconfig": "nothing (it is read from /etc/rancher/k3s/k3s.yaml; kube_kubeconfig says where it goes)",
}
_PAGES = {SERVER: SERVER_PAGE, AGENT: AGENT_PAGE}
_DURATION = re.compile(r"^([0-9]+(\.[0-9]+)?(ns|us|ms|s|m|h))+$")
_TESTS = {
    BOOL: lambda value: isinstance(value, bool) or str(value) in ("true", "True", "false", "False"),
    NUMBER: lambda value: not isinstance(value, bool) and re.match(r"^-?[0-9]+$", str(value)),
    DURATION: lambda value: _DURATION.match(str(value)),
    # Written without quotes, 0644 is the number 420 for YAML, and K3s makes mode 0420 of it.
    MODE: lambda value: isinstance(value, str) and re.match(r"^0?[0-7]{3}$", value),
}


def problems(given: dict, role: str, version: str, owned: dict | None = None) -> list:
    """Sentences on a map of K3s's settings; none where it is right.

    role: server or agent (control_plane, worker). version: as "1.36.3" or "1.36", which means its newest patch.
    owned: keys that the caller sets itself, to what is to be used instead; by default those of the plan. Raises ValueError for a role or a
    version that there is none of.
    """
    side, number = _side(role), _version(version)
    owned = OWNED if owned is None else owned
    if not isinstance(given, dict):
        return ["k3s_config is %r; give a map of K3s's settings (%s)" % (given, _PAGES[side])]
    found = owned_keys({str(key).rstrip("+"): value for key, value in given.items()}, owned, "k3s_config")
    for key in sorted(given, key=str):
        name = str(key)[:-1] if str(key).endswith("+") else str(key)
        if name not in owned:
            found += _key(name, side, number) or _value(str(key), name, given[key])
    return found


def deprecated(given: dict, version: str) -> list:
    """Sentences on keys that K3s still takes and that have another name today."""
    number = _version(version)
    return [
        "k3s_config.%s is an old name; write %s" % (key, DEPRECATED[key])
        for key in sorted(given)
        if key in DEPRECATED and _knows(SINCE.get(DEPRECATED[key]), number)
    ]


def _side(role):
    if role not in ROLES:
        raise ValueError("%r is no role of K3s: it is server or agent" % (role,))
    return ROLES[role]


def _version(text):
    number = versions.parse(text)
    if number[:2] < OLDEST:
        raise ValueError("K3s %s: its settings are known from %d.%d on; name a newer version" % ((text,) + OLDEST))
    return number


def _key(name, side, version):
    """What is wrong with a key of this name here."""
    here = "k3s_config." + name
    if name in REMOVED:
        return ["%s was taken out of K3s in %s; use %s (%s)" % ((here,) + REMOVED[name] + (REMOVED_PAGE,))]
    if name not in KEYS:
        near = difflib.get_close_matches(name.replace("_", "-").lower(), KEYS, n=1)
        hint = "did you mean %s?" % near[0] if near else "%s lists them" % _PAGES[side]
        return ["%s is no setting of K3s, which would start without it; %s" % (here, hint)]
    roles = KEYS[name]["roles"]
    if side not in roles:
        other = roles[0]
        text = "%s is a setting of %ss alone, and K3s would start this %s without it; set it for the %ss' group only"
        return [text % (here, other, side, other)]
    since = SINCE.get(name) or (AGENT_SINCE.get(name) if side == AGENT else None)
    if not _knows(since, version):
        return [
            "%s: K3s %s does not know it yet; take one from %s on, or leave it out"
            % (here, ".".join(str(part) for part in version if part is not None), " or ".join(since.split()))
        ]
    return []


def _knows(since, version):
    """Whether a version has what came with these patches. A version without a patch is the newest of its minor release."""
    if not since:
        return True
    first = [versions.parse(text) for text in since.split()]
    for row in first:
        if row[:2] == version[:2]:
            return version[2] is None or version[2] >= row[2]
    return version[:2] > first[-1][:2]


def _value(key, name, value):
    """What is wrong with a key's value."""
    here, kind = "k3s_config." + key, KEYS[name]["kind"]
    if value is None or value == "":
        return ["%s has no value; give %s or leave it out" % (here, kind)]
    if key != name and kind != LIST:
        return ["%s: only to a list can be added, and K3s takes %s here; write it without the plus" % (here, kind)]
    if kind == LIST:
        items = value if isinstance(value, (list, tuple)) else [value]
        wrong = [item for item in items if item is None or item == "" or isinstance(item, (dict, list, tuple))]
        return ["%s has the item %r; K3s takes a list of texts, such as key=value" % (here, item) for item in wrong]
    if isinstance(value, (dict, list, tuple)) or not _TESTS.get(kind, lambda _value: True)(value):
        shown = "wrong" if name in SECRET else repr(value)
        return ["%s is %s; K3s takes %s here" % (here, shown, kind)]
    if name in CHOICES and value not in CHOICES[name]:
        return ["%s: %r is none of %s" % (here, value, ", ".join(CHOICES[name]))]
    return []
