# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The endpoint's admin socket: what is asked of HAProxy, and that the only control plane stays."""

from __future__ import annotations

import pytest
from ansible_collections.kubewright.cluster.plugins.module_utils.node import haproxy

HEAD = "1\n# be_id be_name srv_id srv_name srv_addr srv_op_state srv_admin_state srv_uweight\n"


class Proxy:
    """HAProxy: servers by name with their admin state."""

    def __init__(self, *names):
        self.admin = {entry: 0 for name in names for entry in (name, name + "-unchecked")}
        self.ended, self.answer = [], ""

    def __call__(self, text, _path):
        words = text.split()
        if words[:3] == ["show", "servers", "state"]:
            rows = [
                "3 control-planes %d %s 10.0.0.1 2 %d 1" % (at, *row) for at, row in enumerate(self.admin.items(), 1)
            ]
            return HEAD + "\n".join(rows)
        entry = words[-1 if words[0] == "shutdown" else 2].partition("/")[2]
        if words[0] == "shutdown":
            self.ended.append(entry)
        else:
            self.admin[entry] = haproxy.DRAINED if words[-1] == "drain" else 0
        return self.answer


@pytest.fixture
def proxy(monkeypatch):
    made = Proxy("cp1", "cp2")
    monkeypatch.setattr(haproxy, "command", made)
    return made


def test_a_control_plane_is_drained_and_its_sessions_end(proxy):
    assert haproxy.drain("cp1")
    assert proxy.admin == {"cp1": 8, "cp1-unchecked": 8, "cp2": 0, "cp2-unchecked": 0}
    assert proxy.ended == ["cp1", "cp1-unchecked"]
    assert not haproxy.drain("cp1")  # again: nothing changes, new sessions end too


def test_it_comes_back(proxy):
    haproxy.drain("cp1")
    assert haproxy.ready("cp1") and not haproxy.ready("cp1")
    assert set(proxy.admin.values()) == {0}


def test_the_only_control_plane_and_unknown_ones_are_left_alone(proxy):
    assert not haproxy.drain("cp9")
    del proxy.admin["cp2"], proxy.admin["cp2-unchecked"]
    assert not haproxy.drain("cp1") and set(proxy.admin.values()) == {0} and not proxy.ended


def test_a_refusal_is_an_error(proxy):
    proxy.answer = "No such server."
    with pytest.raises(OSError, match="No such server"):
        haproxy.drain("cp1")


def test_only_the_drain_bit_counts(proxy):
    proxy.admin["cp1"] = 0x20  # set by a name server
    assert not haproxy.ready("cp1")
