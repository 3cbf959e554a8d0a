# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Members that answer with different cluster IDs are two clusters, however healthy each of them is."""

from __future__ import annotations

from ansible_collections.kubewright.cluster.plugins.module_utils.verify import etcd

NAMES = ["cp-1", "cp-2", "cp-3"]


def judged(*clusters):
    members = [{"name": name, "clientURLs": ["https://x"]} for name in NAMES]
    answers = [({"leader": "1", "version": "3.6.8", "header": {"cluster_id": known}}, None) for known in clusters]
    return [(item["status"], item["text"]) for item in etcd.judge(members, answers, NAMES)]


def test_one_cluster():
    assert judged("7", "7", "7") == [("ok", "3 members, all vote, version 3.6.8, 0 MiB")]


def test_two_clusters():
    assert judged("7", "9", "9") == [("fail", "the members are of 2 clusters: 7 on cp-1; 9 on cp-2, cp-3")]


def test_two_members_of_one_name():
    """A machine that was set up again: the former member counts for the majority for ever."""
    rows = [("10", "cp-1"), ("255", "cp-1"), ("3", "cp-2"), ("4", "cp-3")]
    members = [{"ID": number, "name": name, "peerURLs": ["https://" + number]} for number, name in rows]
    answers = [(None, "refused"), *[({"leader": "3"}, None)] * 3]
    found = [item["text"] for item in etcd.judge(members, answers, NAMES) if item["status"] == "fail"]
    assert "2 members have the name cp-1: a at https://10, ff at https://255" in found
