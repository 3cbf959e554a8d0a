# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a control plane's own API server says, as far as it is read here."""

from __future__ import annotations

import pytest
from ansible_collections.kubewright.cluster.plugins.module_utils.detect import live
from ansible_collections.kubewright.cluster.plugins.module_utils.node import paths
from ansible_collections.kubewright.cluster.tests.unit.fixtures.recording import Files


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


@pytest.mark.parametrize(("own", "loopback"), [("10.0.0.1", "127.0.0.1"), ("fd00::1", "::1")])
def test_the_own_etcd_member_is_asked_at_the_loopback_address_of_the_nodes_family(own, loopback):
    asked = []

    class Answers(Files):
        def ask(self, server, *_arguments, **_named):
            asked.append(server["address"])
            return 200, '{"members": []}'

    manifest = "    - --advertise-address=%s\n    - --secure-port=6443\n" % own
    files = {live.ETCD + "healthcheck-client.crt": "", paths.API_SERVER_MANIFEST: manifest}
    assert live._etcd(Answers(files)) == {"etcd_cluster": None, "etcd_members": []} and asked == [loopback]
    assert live.address(manifest) == {"address": own, "port": 6443}
