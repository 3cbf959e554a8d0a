# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An inventory of k3s-ansible as it is: its variables in the inputs' words.

https://github.com/k3s-io/k3s-ansible/blob/master/inventory-sample.yml. Its groups server and agent are understood everywhere; its `token` is not
needed, since tokens are made on the first server and kept in files.
"""

from __future__ import annotations

import shlex

import yaml

MARK = "k3s_version"
VARIABLES = (MARK, "k3s_server_location", "extra_server_args", "extra_agent_args", "server_config_yaml", "api_port")
DATA_DIR = "/var/lib/rancher/k3s"


def inputs(variables: dict, server: bool) -> dict:
    """Inputs for a host of such an inventory; empty where MARK is not among its variables.

    variables: those of VARIABLES that the host has. server: whether it is one. Raises ValueError with the variable's name.
    """
    if not variables.get(MARK):
        return {}
    found = {"kube_distribution": "k3s", "kube_version": str(variables[MARK])}
    if variables.get("api_port"):
        found["kube_api_port"] = variables["api_port"]
    place = str(variables.get("k3s_server_location") or DATA_DIR).rstrip("/")
    if place != DATA_DIR:
        if not place.endswith("/rancher/k3s"):
            raise ValueError("k3s_server_location %s: set kube_data_dir; K3s's data are in rancher/k3s below it" % place)
        found["kube_data_dir"] = place[: -len("/rancher/k3s")]
    name = "extra_server_args" if server else "extra_agent_args"
    settings = {**_document(variables.get("server_config_yaml") if server else ""), **_arguments(name, variables.get(name))}
    parts = settings.pop("disable", None)
    if parts is not None:
        parts = parts if isinstance(parts, list) else [parts]
        found["k3s_disable"] = [part for text in parts for part in str(text).split(",")]
    if settings:
        found["k3s_config"] = settings
    return found


def _document(text):
    try:
        found = yaml.safe_load(text or "") or {}
    except yaml.YAMLError as error:
        raise ValueError("server_config_yaml: %s" % error) from error
    if not isinstance(found, dict):
        raise ValueError("server_config_yaml is no map")
    return found


def _arguments(name, text):
    """{setting: value} of a command line such as "--disable traefik --debug"; one that is given twice is a list."""
    found, words = {}, shlex.split(str(text or ""))
    while words:
        word = words.pop(0)
        if not word.startswith("--"):
            raise ValueError("%s: %r belongs to no option; write it as --name value" % (name, word))
        key, equals, value = word[2:].partition("=")
        if not equals:
            value = words.pop(0) if words and not words[0].startswith("--") else True
        found.setdefault(key, []).append(value)
    return {key: values[0] if len(values) == 1 else values for key, values in found.items()}
