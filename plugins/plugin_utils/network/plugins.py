# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The network plugins.

To add one: its file beside this one, its traces in module_utils/node/network_traces.py, and a line here.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from ..base.model import Address
from .addresses import Facts, link_network
from .bridge import Bridge
from .flannel import Flannel
from .kube_router import KubeRouter
from .plugin import NetworkPlugin
from .user_plugin import UserPlugin

# The plugin that users install on their own.
USER = UserPlugin.name
ALL: tuple[NetworkPlugin, ...] = (Bridge(), KubeRouter(), Flannel(), UserPlugin())
_BY_NAME = {plugin.name: plugin for plugin in ALL}


def by_name(name: str) -> NetworkPlugin:
    """Return a plugin. Raise KeyError if there is none of this name."""
    return _BY_NAME[name]


def offered_by(distribution: str) -> tuple[str, ...]:
    """Return the names of the plugins that a distribution can run with."""
    return tuple(plugin.name for plugin in ALL if distribution in plugin.distributions or not plugin.distributions)


def running(cni_files: Iterable[str]) -> str | None:
    """Return the plugin of a node, by the names of the files in its CNI directory; None where none is known."""
    there = set(cni_files)
    return next((plugin.name for plugin in ALL if there & set(plugin.traces.cni_files)), None)


def layer2_networks(nodes: Iterable[tuple[str, Sequence[Address], Facts]]) -> dict[str | None, list[str]]:
    """Return hosts by the layer 2 network, or the two of them, that hold their addresses.

    nodes: (host, its addresses, the network part of its facts).
    """
    found: dict[str | None, list[str]] = {}
    for host, own, facts in nodes:
        networks = [link_network(address, facts) for address in own]
        known = [network for network in networks if network]
        found.setdefault(" and ".join(known) if len(known) == len(networks) else None, []).append(host)
    return found
