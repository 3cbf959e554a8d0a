# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Hosts that are reached without the proxy."""

from __future__ import annotations

import pytest
from ansible_collections.kubewright.cluster.plugins.module_utils.base.proxies import excepted


@pytest.mark.parametrize(
    ("name", "entry", "direct"),
    [
        ("m.example.com", ".example.com", True),
        ("m.example.com", "*.example.com", True),
        ("m.example.com", "example.com", True),
        ("m.example.com", "m.example", False),
        ("badexample.com", "*.example.com", False),
        ("m.example.com", "*", True),
        ("m.example.com", ".", False),
        ("10.1.2.3", "10.0.0.0/8", True),
        ("10.1.2.3", "11.0.0.0/8", False),
    ],
)
def test_exceptions(name, entry, direct):
    assert excepted(name, [entry]) == direct
