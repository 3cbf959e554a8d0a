# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Hosts as the subject of a sentence."""

from __future__ import annotations

import pytest
from ansible_collections.kubewright.cluster.plugins.plugin_utils.base import words


@pytest.mark.parametrize(
    ("hosts", "text"),
    [
        (["a"], "a"),
        (["b", "a"], "a and b"),
        (["a", "b", "x-1"], "a, b and x-1"),
        (["w-%d" % number for number in range(1, 60)], "w-1 to w-59"),
        (["cp", *("w-%d" % number for number in range(1, 6))], "cp and w-1 to w-5"),
        (list("acegikmo"), "a, c, e, g, i, k and 2 more"),
    ],
)
def test_together(hosts, text):
    assert words.together(hosts) == text
