# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import html.parser
import re
import time
from html import escape

import pytest
from ansible_collections.kubewright.cluster.plugins.plugin_utils.plan import planner
from ansible_collections.kubewright.cluster.plugins.plugin_utils.report import plan_page as page
from ansible_collections.kubewright.cluster.tests.unit.plugins.plugin_utils.machines import inventory, texts

VOID = {"meta"}


class Balanced(html.parser.HTMLParser):
    """Whether every element that is opened is closed, in order."""

    def __init__(self):
        super().__init__()
        self.open, self.seen = [], []

    def handle_starttag(self, tag, attrs):
        self.seen.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.seen.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def parsed(text):
    parser = Balanced()
    parser.feed(text)
    assert parser.open == []
    return parser.seen


@pytest.mark.parametrize(
    "planes, workers, changes", [(3, 1, {}), (1, 0, {}), (3, 40, {}), (2, 1, {}), (1, 0, {"memory": 1})]
)
def test_a_page_is_whole_and_says_all(planes, workers, changes):
    plan = planner.cluster_plan(*inventory(planes, workers, **changes))
    text = page.html(plan)
    parsed(text)
    for sentence in [row["text"] for row in plan["reasons"]] + texts(plan["refusals"]) + texts(plan["warnings"]):
        assert escape(sentence) in text
    assert all(escape(host) in text for host in plan["nodes"])


def test_nothing_comes_from_elsewhere_and_nothing_runs():
    seen = parsed(page.html(planner.cluster_plan(*inventory(3, 2))))
    assert not {tag for tag, _attributes in seen} & {"script", "link", "img", "iframe", "object", "embed"}
    assert not any(name == "src" or name.startswith("on") for _tag, attributes in seen for name in attributes)
    assert not re.search(r"url\(|@import", page.STYLE)


def test_what_an_inventory_says_is_text():
    hosts, groups = inventory(1, 0)
    hosts["<script>alert(1)</script>"] = hosts.pop("cp-1")
    groups["kube_control_plane"] = list(hosts)
    text = page.html(planner.cluster_plan(hosts, groups))
    assert "<script" not in text and "&lt;script&gt;" in text


def test_a_machine_with_too_little_is_told_in_words_too():
    text = page.html(planner.cluster_plan(*inventory(1, 0, memory=2**30)))
    assert "bar short" in text and "1.0 GiB<span class=aside> (too little)" in text


def test_a_thousand_nodes_make_a_page_in_a_second():
    plan = planner.cluster_plan(*inventory(3, 997, {"kube_pod_cidrs": ["172.16.0.0/12"]}))
    began = time.monotonic()
    text = page.html(plan)
    assert time.monotonic() - began < 1 and "and 990 more" in text
