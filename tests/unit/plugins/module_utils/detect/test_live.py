# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a control plane's own API server says, as far as it is read here."""

from __future__ import annotations

import pytest
from ansible_collections.kubewright.cluster.plugins.module_utils.detect import live


@pytest.mark.parametrize(
    ("text", "mode"),
    [
        ('kind: KubeProxyConfiguration\nmode: "nftables"\nnodePort: []\n', "nftables"),
        ("mode: iptables\n", "iptables"),
        ('logging:\n  mode: x\nmode: ""\n', "iptables"),
        ("kind: KubeProxyConfiguration\n", "iptables"),
    ],
)
def test_the_proxys_mode_is_upstreams_default_where_none_is_named(text, mode):
    assert live.proxy_mode({"data": {"config.conf": text}}) == mode
    assert live.proxy_mode({}) == "iptables"
