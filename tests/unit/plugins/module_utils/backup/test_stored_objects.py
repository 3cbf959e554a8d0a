# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Objects as an API server stores them: what is read of them, and what is not."""

from __future__ import annotations

import pytest
from ansible_collections.kubewright.cluster.plugins.module_utils.backup import stored_objects


def field(number, value):
    """Return a field of a message: bytes, text or a number."""
    if isinstance(value, int):
        return bytes([number << 3, value])
    data = value.encode() if isinstance(value, str) else value
    length, size = len(data), b""
    while length > 127:
        size, length = size + bytes([length & 127 | 128]), length >> 7
    return bytes([number << 3 | 2]) + size + bytes([length]) + data


def message(*pairs):
    return b"".join(field(*pair) for pair in pairs)


def stored(data):
    """Return an object as it is in etcd."""
    return b"k8s\0" + message((1, message((1, "v1"), (2, "Node"))), (2, data), (3, ""), (4, ""))


def node(labels=(), addresses=(), machine_id=""):
    """Return a stored Node."""
    rows = [(5, message((1, kind), (2, address))) for kind, address in addresses]
    meta = message((1, "cp-1"), (7, 1), *[(11, message((1, name), (2, ""))) for name in labels])
    return stored(message((1, meta), (3, message(*rows, (7, message((1, machine_id)))))))


def config_map(data):
    """Return a stored ConfigMap."""
    return stored(message((1, message((1, "x"))), *[(2, message((1, key), (2, text))) for key, text in data.items()]))


def with_uid(uid):
    """Return a stored Namespace."""
    return stored(message((1, message((1, "kube-system"), (5, uid)))))


def test_the_fields_that_are_needed():
    text = "kubernetesVersion: v1.36.3\n" * 100
    assert (
        stored_objects.config_map(config_map({"a": "b", "ClusterConfiguration": text}))["ClusterConfiguration"] == text
    )
    assert stored_objects.uid(with_uid("u-1")) == "u-1"
    addresses = [("InternalIP", "10.0.0.11"), ("Hostname", "cp-1"), ("InternalIP", "fd00::11")]
    made = stored_objects.node(node(["node-role.kubernetes.io/control-plane"], addresses, "m-1"))
    assert made == {"role": "control_plane", "addresses": ["10.0.0.11", "fd00::11"], "machine_id": "m-1"}
    assert stored_objects.node(node())["role"] == "worker" and stored_objects.node(node())["machine_id"] is None


def test_what_cannot_be_read_has_nothing():
    for value in (b"", b"k8s:enc:aescbc:v1:key:\x01\x02", b'{"kind":"Node"}', b"k8s\0", b"k8s\0\x12\xff", b"k8s\0\x0f"):
        assert stored_objects.opened(value) == {}
        assert stored_objects.config_map(value) == {} and stored_objects.uid(value) == ""
        assert stored_objects.node(value) == {"role": "worker", "addresses": [], "machine_id": None}


@pytest.mark.parametrize("data", [b"\x12\x05ab", b"\x80", b"\x0b"])
def test_messages_that_are_none(data):
    with pytest.raises(ValueError):
        stored_objects.fields(data)


def test_numbers_of_all_kinds_are_skipped():
    data = b"\x08\x96\x01" + b"\x11" + b"x" * 8 + b"\x1d" + b"x" * 4 + field(4, "end")
    assert stored_objects.fields(data) == {4: [b"end"]}
