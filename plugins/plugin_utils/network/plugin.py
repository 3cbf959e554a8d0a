# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The questions that plan and roles ask of a network plugin. Each plugin answers them in a file of its own; plugins.py
lists them.

What a plugin leaves on a node, and what a running cluster needs of it, is data in module_utils/node/network_traces.py,
because reset and the verification read it on the node.
"""

from __future__ import annotations

from abc import ABC
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from ipaddress import IPv4Network, IPv6Network
from typing import Any, ClassVar, Union

from ...module_utils.node.network_traces import Traces
from ..base.distribution import Cluster, File, port_row
from ..base.findings import Finding
from ..base.model import Address

IPNetwork = Union[IPv4Network, IPv6Network]
Options = Mapping[str, Any]
PAGE = "docs/networks.md"


@dataclass(frozen=True)
class Situation:
    """What a plugin has to cope with.

    needs: the input kube_needs. options: kube_network.options. layer2_networks: hosts by the network that holds their
    addresses. newcomers: by host the facts of nodes that are not members yet. running: the
    Nodes of the running cluster, as its API has them. service_family: 4 or 6, of the API's Service.
    """

    needs: Sequence[str] = ()
    options: Options = field(default_factory=dict)
    layer2_networks: Mapping[str | None, Sequence[str]] = field(default_factory=dict)
    newcomers: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    running: Sequence[Mapping[str, Any]] = ()
    service_family: int = 4


class NetworkPlugin(ABC):
    """A plugin for the pods' network."""

    # What the user writes in kube_network.plugin.
    name: ClassVar[str]
    # Names of the distributions that it comes with; empty for one that users bring themselves, with any distribution.
    distributions: ClassVar[tuple[str, ...]] = ()
    traces: ClassVar[Traces]
    # Keys of kube_network.options.
    options: ClassVar[tuple[str, ...]] = ()
    enforces_policy: ClassVar[bool] = True
    # True if all nodes must be in one layer 2 network.
    one_network: ClassVar[bool] = False
    # The plugin to choose where this one cannot do what is asked for, as a way out in messages.
    instead: ClassVar[str] = "kube-router"
    # (command, package) of programs that it needs on each node.
    commands: ClassVar[tuple[tuple[str, str], ...]] = ()
    # True if containerd writes the CNI configuration from a template, with the pod network that the control plane gave
    # the node.
    renders_template: ClassVar[bool] = False

    def check(self, situation: Situation) -> list[Finding]:
        """Check that the plugin can do what is asked for."""
        return [*self._check_options(situation.options), *self._check_abilities(situation)]

    def _check_options(self, options: Options) -> list[Finding]:
        text = "kube_network.options.%s: the plugin %s has no such option. It has: %s."
        known = ", ".join(self.options) or "none"
        return [
            Finding("network.unknown_option", text % (key, self.name, known), value=key, limit=known)
            for key in sorted(set(options) - set(self.options), key=str)
        ]

    def _check_abilities(self, situation: Situation) -> list[Finding]:
        found = []
        if "network_policy" in situation.needs and not self.enforces_policy:
            text = (
                "kube_needs has network_policy, which the plugin %s does not enforce. Set kube_network.plugin: "
                "%s, or none and install one that does."
            )
            found.append(Finding("network.policy_not_enforced", text % (self.name, self.instead), value=self.name))
        if self.one_network:
            found += one_network("kube_network.plugin: %s" % self.name, self.instead, situation.layer2_networks)
        return found

    def node_files(
        self, pod_cidrs: Sequence[str], addresses: Sequence[Address], python: str, options: Options
    ) -> list[File]:
        """Return the files on one node. addresses: the node's, one of each family. python: path of its interpreter."""
        return []

    def manifest(self, options: Options, cluster: Cluster) -> str:
        """Return the manifest to apply in the cluster, empty where there is none. cluster: the plan's."""
        return ""

    def images(self, options: Options) -> list[str]:
        """Return the images that each node pulls for it."""
        return []

    def ports(self, options: Options) -> list[dict[str, Any]]:
        """Return who must reach whom, as rows of base.distribution.port_row."""
        return []


def between_nodes(port: int | str, protocol: str, purpose: str) -> dict[str, Any]:
    """Return the row of a port that all nodes must reach on all nodes."""
    return port_row(port, protocol, "all nodes", "all nodes", purpose)


def one_network(what: str, instead: str, layer2_networks: Mapping[str | None, Sequence[str]]) -> list[Finding]:
    """Check that all nodes are in one layer 2 network.

    what: the setting that needs it. instead: the value to choose otherwise.
    """
    if len(layer2_networks) < 2:
        return []
    parts = "; ".join(
        "%s: %s" % (network or "unknown", ", ".join(hosts))
        for network, hosts in sorted(layer2_networks.items(), key=str)
    )
    text = "%s needs all nodes in one network, they are in %d (%s). Choose %s."
    count = len(layer2_networks)
    return [Finding("network.several_layer2_networks", text % (what, count, parts, instead), value=count, limit=1)]
