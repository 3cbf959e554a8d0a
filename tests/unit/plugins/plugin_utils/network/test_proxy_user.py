# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The proxy to the API servers listens on all addresses with a virtual one: it is not root there."""

from __future__ import annotations

import pytest
from ansible_collections.kubewright.cluster.plugins.plugin_utils.network import endpoint


@pytest.mark.parametrize("mode", ["local", "vip"])
def test_the_proxy_gives_up_its_rights(mode):
    members = [{"name": "cp-1", "address": "10.0.0.11"}, {"name": "cp-2", "address": "10.0.0.12"}]
    text = endpoint.haproxy({"mode": mode, "port": 7443, "address": "10.0.0.9"}, 6443, members)
    lines = text[text.index("global") : text.index("defaults")].split("\n")
    assert {"  user haproxy", "  group haproxy", "  chroot /var/lib/haproxy"} <= set(lines)
    assert "  stats socket /run/kube-endpoint/haproxy.sock mode 600 level admin" in lines
