# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How the test runner reads logs and selects stages."""

from __future__ import annotations

import importlib.util
import os
import sys
import threading
import time
from pathlib import Path

import pytest

SOURCE = Path(__file__).resolve().parents[2] / "stages" / "stage.py"


@pytest.fixture(scope="module")
def stage():
    os.environ.setdefault("KUBEWRIGHT_CACHE", "/nowhere")
    os.environ.setdefault("KUBEWRIGHT_WORK", "/nowhere")
    spec = importlib.util.spec_from_file_location("kubewright_stage", SOURCE)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


LOG = """
TASK [Gather facts] ***
fatal: [a]: FAILED! => {"msg": "fine"}
...ignoring

TASK [Fail because the cluster is not healthy] ***
\x1b[0;31mfatal: [a]: FAILED! => changed=false\x1b[0m
  msg: |-
    etcd: the member a does not answer

PLAY RECAP ***
a : ok=6
"""


def test_causes_are_found_above_the_end(stage):
    found = stage.causes(LOG)
    assert "the member a does not answer" in found
    assert "fine" not in found and "RECAP" not in found


def test_failed_tests_are_causes(stage):
    text = (
        "E   AssertionError: assert 1 == 2\n\ntests/a.py:3: AssertionError\nFAILED tests/a.py::test_it - "
        "assert 1 == 2\n"
    )
    assert "assert 1 == 2" in stage.causes(text)


def test_errors_of_ansible_test_are_causes(stage):
    text = "Running sanity test\nERROR: Found 1 shebang issue(s)\nERROR: a.py:1:1: unexpected shebang\n" + "pip\n" * 40
    assert stage.causes(text).splitlines() == [
        "    ERROR: Found 1 shebang issue(s)",
        "    ERROR: a.py:1:1: unexpected shebang",
    ]


def test_only_failed_tasks_of_a_quoted_run_are_shown(stage):
    run = [
        "PLAY [Plan the cluster] ***",
        "",
        *["TASK [a] ***\nok: [n]\n"] * 40,
        "TASK [b] ***",
        'fatal: [n]: FAILED! => {"msg": "why"}',
        "",
    ]
    lines = "\n".join(run).splitlines()
    found = stage.causes("\n".join(["E       AssertionError:", *(f"E         {line}".rstrip() for line in lines)]))
    assert '"msg": "why"' in found and "AssertionError" in found
    assert "ok: [n]" not in found


def test_tests_are_counted(stage):
    assert stage.count("==== 3 passed, 1 failed, 2 skipped in 0.5s ====") == (3, 1, 2)
    assert stage.count("1 passed in 0.1s\n2 passed, 1 error in 4s\n") == (3, 1, 0)
    assert stage.count('Running sanity test "compile"\nRunning sanity test "pep8"\n') == (2, 0, 0)
    assert stage.count("nothing") == (0, 0, 0)


def test_a_stopped_stage_cleans_up(stage, tmp_path, monkeypatch):
    monkeypatch.setattr(stage, "LOGS", tmp_path)
    script = "trap 'sleep 0.3; touch clean; exit 143' TERM; touch began; sleep 60"
    one = stage.Stage("scenario", ["bash", "-c", script], directory=tmp_path)
    thread = threading.Thread(target=one.run)
    thread.start()
    while not (tmp_path / "began").exists():
        time.sleep(0.01)
    one.stop()
    assert (tmp_path / "clean").exists()
    thread.join()
    assert one.state == "failed"


def test_what_a_stage_needs_is_selected_too(stage, monkeypatch):
    monkeypatch.syspath_prepend(str(SOURCE.parents[1]))
    catalog = importlib.import_module("stages.catalog")
    everything = catalog.everything()
    assert [one.name for one in catalog.chosen(everything, ["molecule:kubeadm-upgrade-path"])] == [
        "lab:build",
        "lab:up",
        "lab-older",
        "molecule:kubeadm-upgrade-path",
    ]
    assert [one.name for one in catalog.chosen(everything, ["lint:ruff"])] == ["lint:ruff"]
    assert not {"lab-older", "molecule:kubeadm-upgrade-path"} & {one.name for one in catalog.chosen(everything, [])}
