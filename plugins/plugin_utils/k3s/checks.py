# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Check machines and a cluster's inputs for K3s, and that nothing changes that is fixed on a running cluster."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from ..base.distribution import Cluster, Inputs, Node, Nodes, Problems
from ..base.findings import Finding
from ..base.reference import K3S_AIRGAP_PAGE
from ..inputs import fields, lifecycle
from ..network import flannel
from . import auto_deploy, config, datastore, hardening, node_files, packaged_components

# Keys that K3s never changes in a running cluster, and their inputs:
# https://docs.k3s.io/cli/server#critical-configuration-values
FIXED = lifecycle.settings()
INGRESS_PORTS = (80, 443)


def cluster(nodes: Nodes, shared: Inputs, described: Cluster, state: Mapping[str, Any]) -> Problems:
    """Check the inputs of the cluster against each other and against the running cluster."""
    servers = [host for host, node in nodes.items() if node["role"] == "control_plane"]
    encrypts = hardening.encrypts(nodes)
    refusals = problems(shared) + fixed(nodes, shared)
    refusals += hardening.fixed(shared, nodes, state["initialised"], encrypts)
    refusals += datastore.among_servers(nodes, servers)
    served = bool(state["live"].get("healthy"))
    refusals += [found for host in servers for found in datastore.removed(host, nodes[host], served)]
    if servers:
        like = node_files.config_of(nodes[servers[0]], described)
        refusals += config.disagreements({host: config.server_keys(nodes[host]["inputs"], like) for host in servers})
        refusals += _flannel_left(described["plugin"], state["live"])
    warnings = hardening.warnings(shared, encrypts or not state["initialised"], nodes)
    warnings += auto_deploy.not_listed(node_files.kept_deployed(shared, nodes))
    return Problems(refusals, warnings + packaged_components.warnings(shared))


def _flannel_left(plugin: str, live: Mapping[str, Any]) -> list[Finding]:
    """Refuse to take a running cluster away from flannel."""
    running = flannel.running_backends(live.get("nodes") or [])
    return (
        [flannel.switched("kube_network.plugin", plugin, running)] if running and plugin != flannel.Flannel.name else []
    )


def problems(values: Inputs) -> list[Finding]:
    """Check inputs that only K3s has."""
    found = datastore.problems(values) + _check_token_ttl(values["k3s_bootstrap_token_ttl"])
    plugin = values["kube_network"]["plugin"]
    wrong = auto_deploy.problems(values)
    # Checks of charts need their names.
    return found + (wrong or packaged_components.problems(values, plugin))


def ingress_ports(host: str, node: Node, disabled: Sequence[str], joined: bool) -> list[Finding]:
    """Warn of programs on the ports that servicelb gives to Traefik on each node.

    https://docs.k3s.io/networking/networking-services#traefik-ingress-controller
    """
    if joined or "traefik" in disabled or "servicelb" in disabled:
        return []
    text = (
        "%s: port %d is used by %s. K3s gives it to Traefik, which stays pending or takes it away. Stop that program, "
    )
    text += "or set k3s_disable: [traefik]."
    held = {row["port"]: row for row in node["info"].get("ports") or [] if row.get("protocol") == "tcp"}
    found = []
    for port in INGRESS_PORTS:
        process = str((held.get(port) or {}).get("process") or "")
        if port in held and not process.startswith("k3s"):
            values = (host, port, process or "another program")
            found.append(Finding("port.of_ingress", text % values, host, port, process or None))
    return found


def unknown_interface(host: str, node: Node) -> list[Finding]:
    """Refuse an interface for flannel that the host does not have: K3s would not start."""
    wanted = node["inputs"]["k3s_config"].get("flannel-iface")
    known = [str(row["name"]) for row in (node["info"].get("network") or {}).get("interfaces") or []]
    if not wanted or not known or wanted in known:
        return []
    text = "%s: k3s_config.flannel-iface %s does not exist on the host, which has %s. Correct it, or leave it out."
    values = (host, wanted, ", ".join(known))
    return [Finding("k3s_config.unknown_interface", text % values, host, wanted, ", ".join(known))]


# An agent downloads nothing between the token and its use, but starts containerd.
SHORTEST_TTL = 60


def _check_token_ttl(ttl: str) -> list[Finding]:
    """Check the lifetime of the token that agents join with."""
    if ttl and not re.fullmatch(r"([0-9]+[hms])+", ttl):
        text = "k3s_bootstrap_token_ttl: expected a duration such as 2h or 90m, got %r." % ttl
        return [Finding("k3s_bootstrap_token_ttl.format", text, value=ttl)]
    if ttl and not re.search("[1-9]", ttl):
        # https://docs.k3s.io/cli/token: with 0 the token never expires.
        text = "k3s_bootstrap_token_ttl %s: K3s's token would never expire. Set a duration such as 2h or 90m." % ttl
        return [Finding("k3s_bootstrap_token_ttl.never_expires", text, value=ttl)]
    if ttl and fields.seconds(ttl) < SHORTEST_TTL:
        text = "k3s_bootstrap_token_ttl %s: the token would expire before the agents have joined. Set at least %ds."
        return [Finding("k3s_bootstrap_token_ttl.too_short", text % (ttl, SHORTEST_TTL), value=ttl, limit=SHORTEST_TTL)]
    return []


def fixed(nodes: Nodes, shared: Inputs) -> list[Finding]:
    """Refuse inputs that differ from what running servers were started with."""
    found = []
    for host, node in sorted(nodes.items()):
        settings = (node["info"].get("cluster") or {}).get("settings") or {}
        for key, name in FIXED.items():
            wanted = shared[name] if isinstance(shared[name], list) else [shared[name]]
            running = settings.get(key)
            if running and running != wanted:
                shown, before = ", ".join(wanted), ", ".join(running)
                text = "%s: %s is %s, but this server was started with %s. Set it back, or create a new cluster."
                found.append(Finding("inputs.fixed", text % (host, name, shown, before), host, shown, before))
    return found


def machine(host: str, node: Node) -> Problems:
    """Check the init system and the default route."""
    info = node["info"]
    refusals = _openrc(host, node) if info["init"] == "openrc" else []
    if info["network"].get("default_ipv4") or info["network"].get("default_ipv6"):
        return Problems(refusals, [])
    text = "%s has no default route; K3s needs one to reach Services. Add one, for example to a dummy interface (%s)."
    return Problems(refusals, [Finding("network.no_default_route", text % (host, K3S_AIRGAP_PAGE), host)])


def _openrc(host: str, node: Node) -> list[Finding]:
    """Refuse what needs systemd on a node that has OpenRC."""
    found, inputs = [], node["inputs"]
    endpoint = inputs["kube_api_endpoint"]
    vip = endpoint.get("mode") == "vip" or endpoint.get("address") and not endpoint.get("mode")
    if node["role"] == "control_plane" and vip:
        text = (
            "%s runs OpenRC; kube_api_endpoint.mode vip needs systemd on control planes. Set mode: local or external."
        )
        found.append(Finding("endpoint.needs_systemd", text % host, host, "openrc", "systemd"))
    if inputs["kube_journald"] == "volatile":
        text = "%s runs OpenRC; kube_journald: volatile needs systemd. Set kube_journald: keep for this node."
        found.append(Finding("journald.needs_systemd", text % host, host, "openrc", "systemd"))
    return found
