# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The filters on K3s's settings."""

from __future__ import annotations

from ansible.errors import AnsibleFilterError
from ansible_collections.kubewright.cluster.plugins.plugin_utils.base import versions
from ansible_collections.kubewright.cluster.plugins.plugin_utils.controller import host_inputs
from ansible_collections.kubewright.cluster.plugins.plugin_utils.k3s import (
    config as k3s,
    config_checks as k3s_check,
    datastore as k3s_datastore,
    node_files,
)


def k3s_config(options, role="server", version=None):
    """The text of config.yaml for a map of K3s's settings."""
    try:
        found = k3s_check.problems(options, role, version or versions.choose("")[0], owned={})
    except ValueError as error:
        raise AnsibleFilterError("k3s_config: %s" % error) from error
    if found:
        texts = [str(finding).removeprefix("k3s_config.") for finding in found]
        raise AnsibleFilterError("k3s_config: %s" % " ".join(texts))
    return k3s.text(options)


def k3s_secret_files(plan, host, variables):
    """The files with secrets that a host's inputs call for."""
    groups = {"server": plan["control_planes"], "agent": plan["workers"]}
    found = host_inputs.read(host, variables, lambda value, _replaced=None: value, groups)
    return node_files.secret_files({**plan["nodes"][host], "inputs": found.values}, plan)


class FilterModule:
    """Filters of the collection."""

    def filters(self):
        return {
            "k3s_config": k3s_config,
            "k3s_secret_files": k3s_secret_files,
            "k3s_datastore_places": k3s_datastore.places,
        }
