# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the tests' own runner makes of a log."""

from __future__ import annotations

import importlib.util
import os
import sys
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
TASK [Look] ***
fatal: [a]: FAILED! => {"msg": "fine"}
...ignoring

TASK [Fail for a cluster that is not healthy] ***
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


def test_tests_that_failed_are_causes(stage):
    text = "E   AssertionError: assert 1 == 2\n\ntests/a.py:3: AssertionError\nFAILED tests/a.py::test_it - assert 1 == 2\n"
    assert "assert 1 == 2" in stage.causes(text)


def test_of_a_run_that_a_test_quotes_what_failed_is_shown(stage):
    run = ["PLAY [Look] ***", "", *["TASK [a] ***\nok: [n]\n"] * 40, "TASK [b] ***", 'fatal: [n]: FAILED! => {"msg": "why"}', ""]
    lines = "\n".join(run).splitlines()
    found = stage.causes("\n".join(["E       AssertionError:", *(f"E         {line}".rstrip() for line in lines)]))
    assert '"msg": "why"' in found and "AssertionError" in found
    assert "ok: [n]" not in found


def test_tests_are_counted_and_the_stage_itself(stage):
    assert stage.count("==== 3 passed, 1 failed in 0.5s ====", False) == (3, 2)
    assert stage.count("nothing", True) == (1, 0)
