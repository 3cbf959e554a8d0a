# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An API and a clock for the tests of Leases."""

from __future__ import annotations

import pytest
from ansible_collections.kubewright.cluster.tests.unit.plugins.module_utils.api.fake_api import FakeApi


class Clock:
    """Seconds since 1970, which pass only when somebody sleeps."""

    now = 1796000000.5
    slept = ()

    def __call__(self):
        return self.now

    def sleep(self, seconds):
        self.now += seconds
        self.slept = (*self.slept, seconds)


@pytest.fixture
def api():
    return FakeApi()


@pytest.fixture
def clock():
    return Clock()
