# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""No plugin of the collection: users install their own, and nodes stay NotReady until then."""

from __future__ import annotations

from ...module_utils.node import network_traces
from .plugin import NetworkPlugin


class UserPlugin(NetworkPlugin):
    """A plugin that users bring themselves, for example with kube_manifests or a Helm chart."""

    name = "none"
    traces = network_traces.OTHERS
