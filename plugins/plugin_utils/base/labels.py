# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Labels and taints of Nodes: their form, and a taint's parts."""

from __future__ import annotations

import re

# The kubelet and the distribution set them: https://kubernetes.io/docs/reference/labels-annotations-taints/
OWN = (
    "beta.kubernetes.io/arch",
    "beta.kubernetes.io/os",
    "kubernetes.io/arch",
    "kubernetes.io/hostname",
    "kubernetes.io/os",
    "node-role.kubernetes.io/control-plane",
    "node-role.kubernetes.io/etcd",
)
EFFECTS = ("NoSchedule", "PreferNoSchedule", "NoExecute")
# https://kubernetes.io/docs/concepts/overview/working-with-objects/labels/#syntax-and-character-set
_PART = r"[a-z0-9]([-a-z0-9]*[a-z0-9])?"
KEY = re.compile(r"(?=[^/]{0,253}/|[^/]*$)(%s(\.%s)*/)?[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?" % (_PART, _PART))
# Kubernetes sets and removes these taints by the state of the node:
# https://kubernetes.io/docs/reference/labels-annotations-taints/
OWN_TAINTS = tuple(
    "node.kubernetes.io/%s" % name
    for name in "disk-pressure memory-pressure network-unavailable not-ready out-of-service pid-pressure "
    "unreachable unschedulable".split()
)
_VALUE = re.compile(r"([A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?)?")


def text_of(value: object) -> str:
    """Return a label's value as Kubernetes writes it: YAML reads true as a boolean, and an empty value as None."""
    if value is None:
        return ""
    return str(value).lower() if isinstance(value, bool) else str(value)


def is_key(text: str) -> bool:
    """Return True if the text can be the key of a label or a taint."""
    return bool(KEY.fullmatch(text))


def is_value(text: str) -> bool:
    """Return True if the text can be the value of a label or a taint."""
    return bool(_VALUE.fullmatch(text))


def parse_taint(text: str) -> dict[str, str]:
    """Return {key, value, effect} of "key=value:Effect" or "key:Effect". Raise ValueError if it has another form."""
    head, _colon, effect = str(text).rpartition(":")
    key, _equals, value = head.partition("=")
    if effect not in EFFECTS or not is_key(key) or not is_value(value):
        raise ValueError(
            "%r is not a taint: write it as key=value:Effect, with the effect %s" % (text, ", ".join(EFFECTS))
        )
    return {"key": key, "value": value, "effect": effect}
