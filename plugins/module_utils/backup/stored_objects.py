# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Objects as an API server stores them in etcd, for a cluster without one. Standard library only.

The few fields that are needed are read from their protobuf:
https://kubernetes.io/docs/reference/using-api/api-concepts/#protobuf-encoding and the files generated.proto of
k8s.io/api/core/v1 and k8s.io/apimachinery/pkg/apis/meta/v1. An object that is encrypted has none of them.
"""

from __future__ import annotations

from typing import Any, Dict, List, Tuple

MAGIC = b"k8s\0"
VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5
Fields = Dict[int, List[bytes]]


def fields(data: bytes) -> Fields:
    """Return the fields of a message that are strings or messages, by number. Raise ValueError if it is not one."""
    found: Fields = {}
    place = 0
    while place < len(data):
        tag, place = _varint(data, place)
        kind = tag & 7
        if kind == VARINT:
            _value, place = _varint(data, place)
        elif kind == BYTES:
            length, place = _varint(data, place)
            if place + length > len(data):
                raise ValueError("a field is cut short")
            found.setdefault(tag >> 3, []).append(data[place : place + length])
            place += length
        elif kind in (FIXED64, FIXED32):
            place += 8 if kind == FIXED64 else 4
        else:
            raise ValueError("a field of the unknown kind %d" % kind)
    return found


def _varint(data: bytes, place: int) -> Tuple[int, int]:
    value = shift = 0
    while place < len(data):
        byte = data[place]
        place += 1
        value |= (byte & 127) << shift
        if byte < 128:
            return value, place
        shift += 7
    raise ValueError("a number is cut short")


def opened(value: bytes) -> Fields:
    """Return the fields of a stored object; {} if it is encrypted or stored in another way."""
    try:
        # runtime.Unknown, whose second field is the object
        return fields(fields(value[len(MAGIC) :])[2][0]) if value.startswith(MAGIC) else {}
    except (ValueError, KeyError):
        return {}


def _message(parent: Fields, number: int) -> Fields:
    return fields(parent[number][0]) if parent.get(number) else {}


def _text(parent: Fields, number: int) -> str:
    return parent[number][0].decode("utf-8", "replace") if parent.get(number) else ""


def _map(parent: Fields, number: int) -> Dict[str, str]:
    pairs = [fields(entry) for entry in parent.get(number, [])]
    return {_text(pair, 1): _text(pair, 2) for pair in pairs}


def uid(value: bytes) -> str:
    """Return the UID of an object."""
    return _text(_message(opened(value), 1), 5)


def config_map(value: bytes) -> Dict[str, str]:
    """Return the data of a ConfigMap."""
    return _map(opened(value), 2)


def node(value: bytes) -> Dict[str, Any]:
    """Return {role, addresses, machine_id} of a Node."""
    item = opened(value)
    labels, status = _map(_message(item, 1), 11), _message(item, 3)
    addresses = [fields(entry) for entry in status.get(5, [])]
    return {
        "role": "control_plane" if "node-role.kubernetes.io/control-plane" in labels else "worker",
        "addresses": [_text(row, 2) for row in addresses if _text(row, 1) == "InternalIP"],
        "machine_id": _text(_message(status, 7), 1) or None,
    }
