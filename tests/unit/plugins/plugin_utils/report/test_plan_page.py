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
from ansible_collections.kubewright.cluster.plugins.plugin_utils.report import plan_page as page, summary
from ansible_collections.kubewright.cluster.tests.unit.plugins.plugin_utils.machines import inventory

VOID = {"meta"}


class Balanced(html.parser.HTMLParser):
    """Check that every element that is opened is closed, in order."""

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
    for found in summary.found(plan["refusals"] + plan["warnings"], plan["nodes"]):
        assert escape(str(found)) in text
    assert all(escape(reason.text) in text for reason in summary.reasons(plan))
    assert all(escape(host) in text for host in plan["nodes"])
    assert "<h1>Plan of the cluster kubernetes</h1>" in text and escape(summary.headline(plan)) in text


def test_it_says_when_for_what_and_how_to_go_on():
    plan = planner.cluster_plan(*inventory(3, 1, {"kube_node_labels": {"disk": "ssd"}}))
    text = page.html(plan, inventory="my hosts.yml", date="2026-01-31", kubeconfig="/home/kim/kubeconfig")
    assert (
        "Made on 2026-01-31 for the inventory my hosts.yml with kubewright.cluster %s." % page.collection_version()
        in text
    )
    assert page.collection_version()
    assert "ansible-playbook kubewright.cluster.site -i &#39;my hosts.yml&#39;" in text
    assert "/home/kim/kubeconfig" in text and "<code>disk=ssd</code>" in text and "1.3 GB in all" in text
    assert "6443/tcp, all nodes and administrators → control planes (kube-apiserver)" in text
    assert "<dt>containerd</dt><dd>" in text and "taint node-role.kubernetes.io/control-plane:NoSchedule" in text


def test_links_lead_somewhere_and_say_where():
    plan = planner.cluster_plan(*inventory(3, 20))
    text = page.html(plan)
    links = re.findall(r'<a href="([^"]*)">([^<]*)</a>', text)
    assert len(links) > 3 and all(link.startswith(("https://", "#")) and len(words) > 2 for link, words in links)
    assert all('id="%s"' % link[1:] in text for link, _words in links if link.startswith("#"))
    assert ("#nodes", "and 12 more in the table of nodes") in links


@pytest.mark.parametrize(
    ("text", "made"),
    [
        ("see https://k8s.io/a?b=1&c.", 'see <a href="https://k8s.io/a?b=1&amp;c">https://k8s.io/a?b=1&amp;c</a>.'),
        ("<b> (https://k8s.io/) example.com", '&lt;b&gt; (<a href="https://k8s.io/">https://k8s.io/</a>) example.com'),
        ("javascript:alert(1)", "javascript:alert(1)"),
    ],
)
def test_addresses_in_findings_are_links(text, made):
    assert str(page.linked(text)) == made


def test_hosts_are_in_natural_order():
    text = page.html(planner.cluster_plan(*inventory(1, 11)))
    rows = re.findall(r'role="rowheader">([^<\s]+)', text)
    assert rows == ["cp-1"] + ["w-%d" % number for number in range(1, 12)]


def test_nothing_comes_from_elsewhere_and_nothing_runs():
    text = page.html(planner.cluster_plan(*inventory(3, 2)))
    seen = parsed(text)
    assert not {tag for tag, _attributes in seen} & {"script", "link", "img", "iframe", "object", "embed"}
    assert not any(name == "src" or name.startswith("on") for _tag, attributes in seen for name in attributes)
    assert not re.search(r"url\(|@import", text)


def test_what_an_inventory_says_is_text():
    hosts, groups = inventory(1, 0)
    hosts["<script>alert(1)</script>"] = hosts.pop("cp-1")
    groups["kube_control_plane"] = list(hosts)
    text = page.html(planner.cluster_plan(hosts, groups), inventory="<b>", kubeconfig='"><b>')
    assert "<script" not in text and "&lt;script&gt;" in text and "<b>" not in text


def test_a_machine_with_too_little_is_told_in_words_too():
    text = page.html(planner.cluster_plan(*inventory(1, 0, {"kube_distribution": "kubeadm"}, memory=2**30)))
    assert "bar lacking" in text and "too little, 1.7 GiB needed" in text
    text = page.html(planner.cluster_plan(*inventory(1, 0)))
    assert "bar lacking" not in text and 'class="short"' not in text


def test_a_page_of_a_thousand_nodes_is_made_quickly():
    plan = planner.cluster_plan(*inventory(3, 997, {"kube_pod_cidrs": ["172.16.0.0/12"]}))
    page.html(plan)
    began = time.process_time()
    text = page.html(plan)
    assert time.process_time() - began < 2 and "and 989 more" in text
