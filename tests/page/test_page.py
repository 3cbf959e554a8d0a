# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The page of a plan in a real browser: a phone's width, a wide screen, dark, and on paper."""

from __future__ import annotations

import importlib
import json
import os
import re
import subprocess
import sys

import pytest

sys.path[:0] = os.environ["ANSIBLE_COLLECTIONS_PATH"].split(":")
BASE = "ansible_collections.kubewright.cluster."
page = importlib.import_module(BASE + "plugins.plugin_utils.report.plan_page")
planner = importlib.import_module(BASE + "plugins.plugin_utils.plan.planner")
machines = importlib.import_module(BASE + "tests.unit.plugins.plugin_utils.machines")

QUIET = """--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking
--disable-component-update --disable-sync --hide-scrollbars""".split()
# Frames take any width; a browser's own window has a least one.
FRAME = '<iframe src="%s" style="width:%dpx;height:4000px;border:0" onload="told(this)"></iframe>'
TOLD = """<script>function told(frame) { const inside = frame.contentDocument, seen = (what) => [...inside.querySelectorAll(what)];
document.title = JSON.stringify({wide: inside.documentElement.scrollWidth, text: inside.body.innerText.length,
  ground: getComputedStyle(inside.body).backgroundColor, figure: seen('svg[role=img][aria-label]').length,
  cut: seen('svg text').filter((one) => one.getBBox().width > box(one).getBBox().width).length}) }
function box(one) { while (one.tagName !== 'rect') one = one.previousElementSibling; return one }</script>"""


def chromium(tmp_path, *words):
    """What the browser prints. It fails where there is none: a check that is left out is no check."""
    command = ["chromium", *QUIET, f"--user-data-dir={tmp_path}/profile", "--allow-file-access-from-files", *words]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=90)
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout


def plans():
    """A cluster to be made, one of many nodes, one that is refused."""
    refused = machines.inventory(2, 1, memory=2**29)
    return {
        "made": planner.cluster_plan(*machines.inventory(3, 2)),
        "many": planner.cluster_plan(*machines.inventory(5, 60)),
        "refused": planner.cluster_plan(*refused),
        "empty": planner.cluster_plan({}, {}),
    }


PLANS = plans()


@pytest.mark.parametrize("width", [360, 1280])
@pytest.mark.parametrize("name", PLANS)
def test_nothing_is_wider_than_the_screen(tmp_path, name, width):
    (tmp_path / "plan.html").write_text(page.html(PLANS[name]), encoding="utf-8")
    (tmp_path / "frame.html").write_text(TOLD + FRAME % ("plan.html", width), encoding="utf-8")
    shown = chromium(tmp_path, "--dump-dom", f"file://{tmp_path}/frame.html")
    seen = re.search(r"<title>(.*?)</title>", shown)
    assert seen, shown[:500]
    facts = json.loads(seen[1])
    assert facts["wide"] <= width and facts["text"] > 50, facts
    assert facts["figure"] == (name in ("made", "many")) and facts["cut"] == 0, facts


def test_dark_is_dark(tmp_path):
    (tmp_path / "plan.html").write_text(page.html(PLANS["made"]), encoding="utf-8")
    (tmp_path / "frame.html").write_text(TOLD + FRAME % ("plan.html", 800), encoding="utf-8")
    grounds = [
        re.search(r'"ground":"(.*?)"', chromium(tmp_path, *dark, "--dump-dom", f"file://{tmp_path}/frame.html"))[1]
        for dark in ([], ["--blink-settings=preferredColorScheme=0"])
    ]
    assert grounds == ["rgb(255, 255, 255)", "rgb(13, 17, 23)"]


def test_it_prints(tmp_path):
    (tmp_path / "plan.html").write_text(page.html(PLANS["many"]), encoding="utf-8")
    chromium(tmp_path, f"--print-to-pdf={tmp_path}/plan.pdf", f"file://{tmp_path}/plan.html")
    assert (tmp_path / "plan.pdf").read_bytes().startswith(b"%PDF")
