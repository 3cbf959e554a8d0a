# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""K3s's own files and command lines in the inputs' words, for the projects whose variables hold them.

Names: https://docs.k3s.io/cli/server and https://docs.k3s.io/cli/agent.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import yaml

from .dialect import FROM_FACTS, Outcome, as_list, ask, is_true, left, nothing, translated

DATA_DIR = "/var/lib/rancher/k3s"
Settings = dict[str, Any]
# What the plan chooses where it is not given: from facts it is left to the plan.
CHOSEN = ("node-ip", "node-external-ip", "advertise-address", "bind-address", "flannel-iface", "node-name")


def _pairs(value: Any) -> dict[str, str]:
    pairs = (str(item).partition("=") for item in as_list(value))
    return {key: text for key, _equals, text in pairs}


def _backend(value: Any) -> Settings:
    if str(value) == "none":
        return {"plugin": "none"}
    return {"plugin": "flannel", "options": {"backend": str(value)}}


def _joined(value: Any) -> str:
    return ",".join(str(item) for item in as_list(value))


def _number(value: Any) -> Any:
    return int(value) if str(value).isdigit() else value


# Settings that are inputs here: the input, and how the value changes.
INPUTS: dict[str, tuple[str, Callable[[Any], Any]]] = {
    "cluster-cidr": ("kube_pod_cidrs", as_list),
    "cluster-domain": ("kube_cluster_domain", str),
    "disable": ("k3s_disable", as_list),
    "embedded-registry": ("k3s_embedded_registry", is_true),
    "flannel-backend": ("kube_network", _backend),
    "https-listen-port": ("kube_api_port", _number),
    "node-ip": ("kube_node_ip", _joined),
    "node-label": ("kube_node_labels", _pairs),
    "node-name": ("kube_node_name", str),
    "node-taint": ("kube_node_taints", as_list),
    "secrets-encryption": ("k3s_secrets_encryption", is_true),
    "service-cidr": ("kube_service_cidrs", as_list),
    "tls-san": ("kube_api_sans", as_list),
}
# Settings that the plan has no use for, and why.
NOT_NEEDED = {
    "agent-token": "tokens are made on the first server",
    "agent-token-file": "tokens are made on the first server",
    "cluster-init": "the plan starts the cluster on one server",
    "server": "the plan knows the servers",
    "token": "tokens are made on the first server",
    "token-file": "tokens are made on the first server",
}


PROXIES = {"HTTP_PROXY": "http", "HTTPS_PROXY": "https"}


def arguments(name: str, text: Any) -> Settings:
    """Return {setting: value} of a command line such as "--disable traefik --debug"; given twice, it has a list.

    Raise ValueError with the variable's name.
    """
    found: dict[str, list[Any]] = {}
    try:
        words = shlex.split(str(text or ""))
    except ValueError as error:
        raise ValueError("%s: %s. Correct its quotes." % (name, error)) from error
    while words:
        word = words.pop(0)
        if not word.startswith("--"):
            raise ValueError("%s: %r does not belong to an option. Write it as --name value." % (name, word))
        key, equals, rest = word[2:].partition("=")
        value: str | bool = rest
        if not equals:
            value = words.pop(0) if words and not words[0].startswith("--") else True
        found.setdefault(key, []).append(value)
    return {key: values[0] if len(values) == 1 else values for key, values in found.items()}


def document(name: str, text: Any) -> Settings:
    """Return the map of a YAML text, or the map itself. Raise ValueError with the variable's name."""
    if isinstance(text, Mapping):
        return dict(text)
    try:
        found = yaml.safe_load(text or "") or {}
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        raise ValueError("%s is not YAML%s." % (name, " (line %d)" % (mark.line + 1) if mark else "")) from error
    if not isinstance(found, dict):
        raise ValueError("%s: expected a map (key: value)." % name)
    return found


def outcomes(settings: Mapping[str, Any], label: Callable[[str], str]) -> list[Outcome]:
    """Return what settings of K3s are here. label: how the user wrote a setting, by its key."""
    result = []
    for key, value in settings.items():
        found = _from_facts(key, label(key)) if FROM_FACTS in str(value) else _setting(key, value, label(key))
        result.append(replace(found, wrote=label(key)))
    return result


def _from_facts(key: str, wrote: str) -> Outcome:
    if key in CHOSEN:
        return left("made of facts, so the plan chooses it; kube_node_ip takes an interface such as eth0")
    return ask("%s is made of facts, which are not gathered. Write the value itself." % wrote)


def _setting(key: str, value: Any, wrote: str) -> Outcome:
    if value in ("", None):
        return nothing("empty")
    if key in NOT_NEEDED:
        return nothing(NOT_NEEDED[key])
    if key == "datastore-endpoint":
        inputs = {"k3s_datastore_endpoint": str(value), "kube_needs": ["external_database"]}
        return translated(inputs, **dict.fromkeys(inputs, wrote))
    if key == "data-dir":
        return data_dir(wrote, value)
    if key in INPUTS:
        name, change = INPUTS[key]
        return translated({name: change(value)}, **{name: wrote})
    return translated({"k3s_config": {key: value}}, **{"k3s_config." + key: wrote})


def data_dir(name: str, value: Any) -> Outcome:
    """Return what K3s's data directory is here."""
    place = str(value or DATA_DIR).rstrip("/")
    if place == DATA_DIR:
        return nothing("K3s's default")
    if not place.endswith("/rancher/k3s"):
        text = "%s %s: must end in /rancher/k3s. Set kube_data_dir instead; K3s's data are in rancher/k3s below it."
        return ask(text % (name, place))
    return translated({"kube_data_dir": place[: -len("/rancher/k3s")]}, kube_data_dir=name)


def registries(name: str, value: Any) -> list[Outcome]:
    """Return what K3s's registries.yaml is here (https://docs.k3s.io/installation/private-registry)."""
    given = document(name, value)
    mirrors = {str(key): _mirror(row or {}) for key, row in (given.get("mirrors") or {}).items()}
    configs, questions = {}, []
    for key, row in (given.get("configs") or {}).items():
        configs[str(key)], asked = _config(name, str(key), row or {})
        questions += asked
    parts = {"mirrors": mirrors, "configs": configs}
    inputs = {"kube_registries": {part: rows for part, rows in parts.items() if rows}}
    return [translated(inputs) if any(parts.values()) else nothing("empty"), *questions]


def _mirror(row: Mapping[str, Any]) -> Settings:
    endpoints = as_list(row.get("endpoint") or row.get("endpoints") or [])
    found: Settings = {"endpoints": [str(item) for item in endpoints]}
    # K3s takes the path of an endpoint as the root of the registry's API.
    if any(str(item).partition("://")[2].rstrip("/").count("/") for item in endpoints):
        found["override_path"] = True
    if row.get("rewrite"):
        found["rewrites"] = dict(row["rewrite"])
    return found


def _config(name: str, key: str, row: Mapping[str, Any]) -> tuple[Settings, list[Outcome]]:
    login, tls = row.get("auth") or {}, row.get("tls") or {}
    found: Settings = {part: login[part] for part in ("username", "password") if login.get(part)}
    token = login.get("identity_token") or login.get("token")
    if token:
        found["token"] = token
    if is_true(tls.get("insecure_skip_verify")):
        found["insecure_skip_verify"] = True
    files = {"ca_file": "ca", "cert_file": "certificate", "key_file": "key"}
    text = "%s: configs[%s].tls.%s is a file on the node. Give its text as kube_registries.configs[%s].%s."
    questions = [ask(text % (name, key, theirs, key, ours)) for theirs, ours in files.items() if tls.get(theirs)]
    if login.get("auth"):
        questions.append(ask("%s: configs[%s].auth.auth: give username and password instead." % (name, key)))
    return found, questions


def environment(name: str, given: Mapping[str, Any]) -> list[Outcome]:
    """Return what environment variables of K3s's service are here: the proxies are an input."""
    rows = {str(key).upper(): str(value) for key, value in given.items() if value not in (None, "")}
    proxy: Settings = {part: rows.pop(key) for key, part in PROXIES.items() if key in rows}
    if "NO_PROXY" in rows:
        proxy["no_proxy"] = as_list(rows.pop("NO_PROXY"))
    found = [translated({"kube_http_proxy": proxy})] if proxy else []
    if rows:
        found.append(left("%s: %s in the environment of K3s has no input here" % (name, ", ".join(sorted(rows)))))
    return found or [nothing("empty")]


def variables(items: Any) -> dict[str, str]:
    """Return {name: value} of a list such as [A=1, B=2], or of a map."""
    if isinstance(items, Mapping):
        return {str(key): str(value) for key, value in items.items()}
    return {name: text for name, _equals, text in (str(item).partition("=") for item in items or [])}
