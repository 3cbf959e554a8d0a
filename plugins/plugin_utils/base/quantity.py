# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Kubernetes quantities: "512Mi" to bytes and back, "250m" to CPUs.

The grammar is that of https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/quantity/
"""

from __future__ import annotations

import math
import re

BINARY = {"Ki": 2**10, "Mi": 2**20, "Gi": 2**30, "Ti": 2**40, "Pi": 2**50, "Ei": 2**60}
DECIMAL = {"m": 1e-3, "": 1, "k": 1e3, "M": 1e6, "G": 1e9, "T": 1e12, "P": 1e15, "E": 1e18}
_QUANTITY = re.compile(
    r"^\s*([0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE]([+-]?[0-9]+))?\s*(Ki|Mi|Gi|Ti|Pi|Ei|m|k|M|G|T|P|E)?\s*$"
)


def parse(text: object) -> float:
    """Return the number that a quantity stands for: bytes of "512Mi", CPUs of "250m".

    Raise ValueError with the text if it has another form.
    """
    found = _QUANTITY.match(str(text))
    if not found:
        raise ValueError("%r is not a quantity: write it as 512Mi, 2Gi, 250m or 1.5" % (text,))
    number, exponent, suffix = found.groups()
    value = float("%se%s" % (number, exponent or 0)) * {**BINARY, **DECIMAL}[suffix or ""]
    if math.isinf(value):
        raise ValueError("%.60r is too large" % (text,))
    return value


def convert(value: object, unit: str | None = None) -> int | float | str:
    """Return a quantity as a number, or as text in a unit.

    value: "512Mi", "250m" or a number. Without a unit the result is the number: bytes or CPUs, an int if it is whole.
    unit: one of Ki Mi Gi Ti Pi Ei k M G T P E m, or "" for a plain number; the result is text such as "512Mi", with up
    to three digits after the point. Raise ValueError for another form.
    """
    number = parse(value)
    if unit is None:
        return int(number) if number == int(number) else number
    factor = {**BINARY, **DECIMAL}.get(unit)
    if factor is None:
        raise ValueError(
            "%r is not a unit of quantities: use one of %s" % (unit, ", ".join([*BINARY, *filter(None, DECIMAL)]))
        )
    return "%s%s" % (("%.3f" % (number / factor)).rstrip("0").rstrip("."), unit)


def memory(number: float) -> str:
    """Return bytes as a whole number of MiB, rounded down: 536870912 is "512Mi"."""
    return "%dMi" % (number // 2**20)


def cpu(number: float) -> str:
    """Return CPUs as whole thousandths: 0.25 is "250m"."""
    return "%dm" % round(number * 1000)


def human(number: float) -> str:
    """Return bytes as a person reads them: 1932735283 is "1.8 GiB"."""
    for unit in ("B", "KiB", "MiB", "GiB", "TiB"):
        if abs(number) < 1024 or unit == "TiB":
            return ("%d %s" if unit == "B" else "%.1f %s") % (number, unit)
        number /= 1024
    return ""
