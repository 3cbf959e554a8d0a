# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An inventory of k3s-ansible as it is: its variables in the inputs' words.

https://github.com/k3s-io/k3s-ansible/blob/master/inventory-sample.yml. Its groups server and agent are understood
everywhere; its `token` is not needed, since tokens are made on the first server and kept in files.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from typing import Any

import yaml

MARK = "k3s_version"
VARIABLES = (MARK, "k3s_server_location", "extra_server_args", "extra_agent_args", "server_config_yaml", "api_port")
DATA_DIR = "/var/lib/rancher/k3s"


def inputs(variables: Mapping[str, Any], server: bool) -> dict[str, Any]:
    """Return the inputs of a host of such an inventory; empty if MARK is not among its variables.

    variables: those of VARIABLES that the host has. server: True for a control plane. Raise ValueError with the
    variable's name.
    """
    if not variables.get(MARK):
        return {}
    found: dict[str, Any] = {"kube_distribution": "k3s", "kube_version": str(variables[MARK])}
    if variables.get("api_port"):
        found["kube_api_port"] = variables["api_port"]
    place = str(variables.get("k3s_server_location") or DATA_DIR).rstrip("/")
    if place != DATA_DIR:
        if not place.endswith("/rancher/k3s"):
            raise ValueError(
                (
                    "k3s_server_location %s: must end in /rancher/k3s. Set kube_data_dir instead; K3s's data are "
                    "in rancher/k3s below it"
                )
                % place
            )
        found["kube_data_dir"] = place[: -len("/rancher/k3s")]
    name = "extra_server_args" if server else "extra_agent_args"
    settings = {
        **_document(variables.get("server_config_yaml") if server else ""),
        **_arguments(name, variables.get(name)),
    }
    parts = settings.pop("disable", None)
    if parts is not None:
        parts = parts if isinstance(parts, list) else [parts]
        found["k3s_disable"] = [part for text in parts for part in str(text).split(",")]
    if settings:
        found["k3s_config"] = settings
    return found


def _document(text: Any) -> dict[str, Any]:
    try:
        found = yaml.safe_load(text or "") or {}
    except yaml.YAMLError as error:
        raise ValueError("server_config_yaml: %s" % error) from error
    if not isinstance(found, dict):
        raise ValueError("server_config_yaml: expected a map (key: value)")
    return found


def _arguments(name: str, text: Any) -> dict[str, Any]:
    """Return {setting: value} of a command line such as "--disable traefik --debug"; given twice, it has a list."""
    found: dict[str, list[Any]] = {}
    words = shlex.split(str(text or ""))
    while words:
        word = words.pop(0)
        if not word.startswith("--"):
            raise ValueError("%s: %r does not belong to an option. Write it as --name value" % (name, word))
        key, equals, rest = word[2:].partition("=")
        value: str | bool = rest
        if not equals:
            value = words.pop(0) if words and not words[0].startswith("--") else True
        found.setdefault(key, []).append(value)
    return {key: values[0] if len(values) == 1 else values for key, values in found.items()}
