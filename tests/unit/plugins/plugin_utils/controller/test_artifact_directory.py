# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from dataclasses import replace

import pytest
from ansible_collections.kubewright.cluster.plugins.plugin_utils.controller import artifact_directory
from ansible_collections.kubewright.cluster.plugins.plugin_utils.plan import planner
from ansible_collections.kubewright.cluster.tests.unit.plugins.plugin_utils.findings import described, ids
from ansible_collections.kubewright.cluster.tests.unit.plugins.plugin_utils.machines import inventory


def missing(source, planes=3, workers=1):
    hosts, groups = inventory(planes, workers, {"kube_artifacts": {"source": str(source)}})
    return artifact_directory.missing(planner.cluster_plan(hosts, groups), hosts)


@pytest.mark.parametrize("source", ["", "upstream", "https://mirror.example.com"])
def test_a_mirror_is_not_looked_at(source):
    assert missing(source) == []


def test_a_directory_that_does_not_exist_is_one_finding(tmp_path):
    assert described(missing("/no/mirror")) == ["artifacts.no_directory value=/no/mirror"]


def test_files_that_are_missing_are_one_finding(tmp_path):
    (found,) = missing(tmp_path)
    found = replace(found, text=found.text.replace(str(tmp_path), "DIRECTORY"))
    assert ids([found]) == ["artifacts.file_missing"] and found.node is None and len(found.value) == 14
    assert "14 files" in found.text and "10 more" in found.text
    (found,) = missing(tmp_path, 1, 0)
    assert found.node == "cp-1"
    for path in found.value[1:]:
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).touch()
    (found,) = missing(tmp_path)
    assert len(found.value) == 1 and found.value[0] in found.text and "1 file that" in found.text
    (tmp_path / found.value[0]).touch()
    assert missing(tmp_path) == []
