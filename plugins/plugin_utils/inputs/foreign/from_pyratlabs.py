# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An inventory of PyratLabs' role for K3s: what its variables are in this collection's inputs.

Names: https://github.com/PyratLabs/ansible-role-k3s at 9fb0cd4, defaults/main.yml and README.md.
"""

from __future__ import annotations

from typing import Any

from . import k3s_values as values
from .dialect import (
    Context,
    Dialect,
    Outcome,
    Row,
    is_true,
    not_taken,
    nothing,
    question,
    to,
    translated,
    unused,
)

CONTROL_PLANE = "a control plane; its group gives it the role"


def _control_node(value: Any, _context: Context) -> Outcome:
    return nothing(CONTROL_PLANE if is_true(value) else "not a control plane")


def _etcd(value: Any, _context: Context) -> Outcome:
    return translated({"k3s_datastore": "etcd"}) if is_true(value) else nothing("the plan chooses")


_TEMPLATES = "Templates and addresses are not read. Set k3s_manifests, and remove this."
_SERVICE = "the service is the plan's"
ROWS: dict[str, Row] = {
    "k3s_release_version": Row("kube_version", values.version("k3s_release_version"), "asks for K3s too"),
    "k3s_server": Row("k3s_config", values.settings("k3s_server", True), "on servers"),
    "k3s_agent": Row("k3s_config", values.settings("k3s_agent", False), "on agents"),
    "k3s_control_node": Row("", _control_node, "put these hosts into the group kube_control_plane"),
    "k3s_registration_address": Row("kube_api_endpoint", values.endpoint, "mode external, unless it is a server"),
    "k3s_registries": Row("kube_registries", values.registries("k3s_registries"), asks=True),
    "k3s_etcd_datastore": Row("k3s_datastore", _etcd, "etcd"),
    "k3s_debug": to("k3s_config.debug", is_true),
    "k3s_airgap": Row("kube_artifacts.source", values.air_gap("k3s_airgap"), "in upstream's layout", asks=True),
    "k3s_service_env_vars": Row("kube_http_proxy", values.environment("k3s_service_env_vars"), "proxies"),
    "k3s_state": question(
        "A cluster is installed and started by site. Use reset to remove a cluster.", "installed", "started"
    ),
    "k3s_build_cluster": question("An inventory is one cluster. Use one for each.", True),
    "k3s_become": unused("set ansible_become"),
    "k3s_become_*": unused("set ansible_become"),
    "k3s_server_manifests_templates": question(_TEMPLATES),
    "k3s_server_manifests_urls": question(_TEMPLATES),
    "k3s_server_pod_manifests_templates": question(_TEMPLATES),
    "k3s_server_pod_manifests_urls": question(_TEMPLATES),
    "k3s_server_config_yaml_d_files": question("These templates are not read. Set k3s_config, and remove this."),
    "k3s_agent_config_yaml_d_files": question("These templates are not read. Set k3s_config, and remove this."),
    "k3s_install_dir": not_taken("K3s is in /usr/local/bin", "/usr/local/bin"),
    "k3s_github_url": not_taken("set kube_artifacts.source", "https://github.com/k3s-io/k3s"),
    "k3s_api_url": unused("no channel is asked"),
    "k3s_config_file": unused("K3s's default"),
    "k3s_config_yaml_d_dir": unused("K3s's default"),
    "k3s_install_hard_links": unused("programs are installed by the plan"),
    "k3s_start_on_boot": not_taken("K3s always starts at boot", True),
    "k3s_service_env_file": not_taken("set kube_http_proxy", False),
    "k3s_service_*": unused(_SERVICE),
    "k3s_skip_*": unused("the plan's checks always run"),
    "k3s_use_*": unused("the plan checks k3s_config"),
}
DIALECT = Dialect(
    name="PyratLabs/ansible-role-k3s",
    page="https://github.com/PyratLabs/ansible-role-k3s",
    rows=ROWS,
    distribution="k3s",
)
