# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An inventory of k3s-ansible: what its variables are in this collection's inputs.

Names: https://github.com/k3s-io/k3s-ansible at 281554e, inventory-sample.yml and roles/*/defaults/main.yml.
"""

from __future__ import annotations

from . import k3s_values as values
from .dialect import Dialect, Row, question, to, unused

EXTRA = {
    "k3s_version": Row("kube_version", values.version("k3s_version"), "asks for K3s too"),
    "extra_server_args": Row("k3s_config", values.arguments("extra_server_args", True), "on servers"),
    "extra_agent_args": Row("k3s_config", values.arguments("extra_agent_args", False), "on agents"),
    "systemd_dir": unused("units are in /etc/systemd/system"),
}
ROWS: dict[str, Row] = {
    **EXTRA,
    "server_config_yaml": Row("k3s_config", values.settings("server_config_yaml", True), "on servers"),
    "agent_config_yaml": Row("k3s_config", values.settings("agent_config_yaml", False), "on agents"),
    "registries_config_yaml": Row("kube_registries", values.registries("registries_config_yaml"), asks=True),
    "k3s_server_location": Row(
        "kube_data_dir", values.data_dir("k3s_server_location"), "must end in /rancher/k3s", asks=True
    ),
    "token": Row("k3s_token", values.token, "with an external database only"),
    "api_endpoint": Row("kube_api_endpoint", values.endpoint, "mode external, unless it is a server"),
    "api_port": to("kube_api_port"),
    "use_external_database": Row("kube_needs", values.database, "external_database", asks=True),
    "extra_service_envs": Row("kube_http_proxy", values.environment("extra_service_envs"), "proxies"),
    "extra_install_envs": unused("the install script is called with the plan's own settings"),
    "extra_manifests": Row("k3s_manifests", values.manifests, "src"),
    "airgap_dir": Row("kube_artifacts.source", values.air_gap("airgap_dir"), "in upstream's layout", asks=True),
    "cluster_context": to("kube_cluster_name", str),
    "kubeconfig": Row("kube_kubeconfig", values.kubeconfig, "path, or merge for ~/.kube/config"),
    "user_kubectl": unused("kubectl is on the servers, for root"),
    "manage_firewall": unused("the firewall is not changed; the plan lists the ports"),
    "server_group": Row("", values.groups("server_group", "server"), "groups have fixed names", asks=True),
    "agent_group": Row("", values.groups("agent_group", "agent"), "groups have fixed names", asks=True),
    "opt_tls_san": to("kube_api_sans"),
    "k3s_upgrade_version": question("A running cluster is not upgraded by site. Remove this."),
}
DIALECT = Dialect(
    name="k3s-ansible",
    page="https://github.com/k3s-io/k3s-ansible",
    rows=ROWS,
    distribution="k3s",
    generic=frozenset(
        {"token", "kubeconfig", "systemd_dir", "api_port", "api_endpoint", "server_group", "agent_group"}
        | {"cluster_context", "user_kubectl", "manage_firewall", "airgap_dir", "opt_tls_san", "use_external_database"}
        | {"extra_server_args", "extra_agent_args", "extra_manifests", "extra_install_envs", "extra_service_envs"}
    ),
)
