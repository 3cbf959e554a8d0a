# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest
from ansible_collections.kubewright.cluster.plugins.plugin_utils.base.model import Datastore, Placement


@pytest.mark.parametrize(
    ("datastore", "text"),
    [
        (Datastore("etcd", Placement.STACKED), "stacked etcd"),
        (Datastore("etcd", Placement.EMBEDDED), "embedded etcd"),
        (Datastore("SQLite", Placement.EMBEDDED), "SQLite"),
        (Datastore("PostgreSQL", Placement.EXTERNAL), "external PostgreSQL"),
        (Datastore("database", Placement.EXTERNAL), "external database"),
        (Datastore("etcd", Placement.ELSEWHERE), "of the cluster that is joined"),
    ],
)
def test_the_text_is_read_back(datastore, text):
    assert str(datastore) == text and Datastore.parse(text) == datastore


def test_what_it_is():
    assert Datastore.parse("external MySQL").is_external and not Datastore.parse("stacked etcd").is_external
    assert Datastore.parse("embedded etcd").is_embedded_etcd
    assert not Datastore.parse("stacked etcd").is_embedded_etcd and not Datastore.parse("SQLite").is_embedded_etcd
