# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The plan of an upgrade names programs and images that its sources do not have."""

from __future__ import annotations

import pytest
from ansible_collections.kubewright.cluster.plugins.plugin_utils.controller.operations.upgrade import Operation
from ansible_collections.kubewright.cluster.tests.unit.plugins.plugin_utils.clusters import with_inputs
from ansible_collections.kubewright.cluster.tests.unit.plugins.plugin_utils.findings import described, ids
from ansible_collections.kubewright.cluster.tests.unit.plugins.plugin_utils.operations.test_upgrade import Cluster

NOTHING = {"missing": {}, "silent": {}}
KUBEADM = "https://dl.k8s.io/release/v1.37.2/bin/linux/amd64/kubeadm"


class Asked:
    """An upgrade to 1.37.2, whose control plane answers what the test says."""

    def __init__(self, cluster, **answer):
        self.questions, self.plan = [], cluster.plan()
        self.answer = {"files": NOTHING, "images": NOTHING, **answer}
        self.cluster = {"cluster": {**cluster.answer, "lock": ""}, "lock_run": ""}
        made = Operation({"force": False, "backup": False, "timeout": 300}, {}, [], self.ask)
        made.planned(self.plan, cluster.hosts)
        made.into(self.plan, list(self.plan["nodes"]))

    def ask(self, wanted):
        self.questions.append(wanted)
        return self.cluster if wanted["state"] == "asked" else self.answer


@pytest.fixture
def cluster():
    return Cluster()


def test_every_version_on_the_way_is_asked_for(cluster):
    asked = Asked(cluster)
    assert ids(asked.plan["refusals"]) == []
    [source] = asked.questions[1]["sources"]
    assert source["source"] == "upstream" and {KUBEADM, KUBEADM + ".sha256"} <= set(source["urls"])
    assert any(url.endswith("/kubelet") for url in source["urls"])
    assert not any("containerd" in url for url in source["urls"])  # it is there
    assert "registry.k8s.io/kube-apiserver:v1.37.2" in asked.questions[1]["images"]


def test_what_is_missing_is_refused_at_once(cluster):
    images = {"registry.k8s.io/x:%d" % number: "https://mirror" for number in range(6)}
    asked = Asked(
        cluster,
        files={"missing": {KUBEADM: "HTTP 404 Not Found"}, "silent": {}},
        images={"missing": images, "silent": {}},
    )
    assert described(asked.plan["refusals"]) == [
        "upgrade.file_missing value=%s" % [KUBEADM],
        "upgrade.image_missing node=cp-1 value=%s" % sorted(images),
    ]
    assert "and 2 more" in asked.plan["refusals"][1]["text"]


def test_a_source_that_does_not_answer_is_a_warning(cluster):
    asked = Asked(cluster, files={"missing": {}, "silent": {KUBEADM: "timed out"}})
    assert ids(asked.plan["refusals"]) == []
    assert "upgrade.source_unknown node=cp-1 value=%s" % [KUBEADM] in described(asked.plan["warnings"])


def test_a_question_that_fails_is_a_warning(cluster):
    asked = Asked(cluster, failed=True, msg="no Python")
    assert "upgrade.source_unknown node=cp-1" in described(asked.plan["warnings"])


def test_a_directory_on_the_controller_is_looked_at_here(cluster, tmp_path):
    cluster.hosts = with_inputs(cluster.hosts, kube_artifacts={"source": str(tmp_path)})
    asked = Asked(cluster)
    assert asked.questions[1]["sources"] == []
    [found] = asked.plan["refusals"]
    assert found["id"] == "artifacts.file_missing" and KUBEADM.split("://")[1] in found["value"]
