# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The network plugins.

To add one: its file beside this one, its traces in module_utils/node/network_traces.py, and a line here.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from .addresses import interface_of
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


def layer2_networks(nodes: Iterable[Mapping[str, Any]]) -> dict[str | None, list[str]]:
    """Return hosts by the layer 2 network that holds their addresses. nodes: {host, address, network (facts)}."""
    found: dict[str | None, list[str]] = {}
    for node in nodes:
        _interface, network = interface_of(node["address"], node["network"])
        found.setdefault(network, []).append(node["host"])
    return found
