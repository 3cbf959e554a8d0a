# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Tests of the plan's page in a real browser: on a phone, on a wide screen, in light and dark mode, and printed."""

from __future__ import annotations

import html
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
--disable-component-update --disable-sync --hide-scrollbars --enable-logging=stderr""".split()
DARK = "--blink-settings=preferredColorScheme=0"
WIDTHS = (390, 1280)
# A frame can have any width; a browser window has a minimum.
FRAME = '<iframe src="plan.html" style="width:%dpx;height:4000px;border:0" onload="measure(this)"></iframe>'
MEASURE = """<script>
const found = {};
function parts(colour) { return colour.match(/[\\d.]+/g).map(Number) }
function light([red, green, blue]) { return [red, green, blue].map((one) => one / 255)
  .map((one) => one <= 0.04045 ? one / 12.92 : ((one + 0.055) / 1.055) ** 2.4)
  .reduce((sum, one, at) => sum + one * [0.2126, 0.7152, 0.0722][at], 0) }
function contrast(one, two) { const [low, high] = [light(one), light(two)].sort((a, b) => a - b); return (high + 0.05) / (low + 0.05) }
function ground(one) { for (; one; one = one.parentElement) { const back = parts(getComputedStyle(one).backgroundColor);
  if (back.length < 4 || back[3] > 0) return back } }
function measure(frame) {
  const inside = frame.contentDocument, all = (what) => [...inside.querySelectorAll(what)], style = (one) => inside.defaultView.getComputedStyle(one);
  const written = all('main *').filter((one) => one.checkVisibility() && [...one.childNodes].some((node) => node.nodeType == 3 && node.data.trim()));
  const texts = written.map((one) => [contrast(parts(style(one).color), ground(one)), one.outerHTML.slice(0, 90)]).sort((a, b) => a[0] - b[0]);
  const edges = all('.box, .hub, pre, figure, .bar').map((one) => [contrast(parts(style(one).borderTopColor), ground(one.parentElement)), one.className])
    .concat(all('.bar i').map((one) => [contrast(parts(style(one).backgroundColor), parts(style(inside.body).backgroundColor)), 'bar filled']))
    .sort((a, b) => a[0] - b[0]);
  found[frame.style.width] = { wide: inside.documentElement.scrollWidth, text: inside.body.innerText.length,
    least_font: Math.min(...written.map((one) => parseFloat(style(one).fontSize))), ground: style(inside.body).backgroundColor,
    figure: all('figure figcaption').length, text_contrast: texts[0], edge_contrast: edges[0],
    red: all('.short, .lacking').length, head_shown: all('thead').every((one) => one.getBoundingClientRect().width > 10) };
  document.title = JSON.stringify(found);
}
</script>"""


def chromium(tmp_path, *words):
    """Run the browser and return its output. Fail if it fails or if the page writes to the console."""
    command = ["chromium", *QUIET, f"--user-data-dir={tmp_path}/profile", "--allow-file-access-from-files", *words]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=90)
    assert done.returncode == 0, done.stderr[-2000:]
    assert "CONSOLE" not in done.stderr, done.stderr[-2000:]
    return done.stdout


def plans():
    """Return plans by name: new, K3s on small arm64 machines, many nodes, refused, nothing to do, empty."""
    small, groups = machines.inventory(
        1, 3, {"kube_node_labels": {"disk": "ssd"}}, memory=2**30, architecture__name="arm64"
    )
    small["cp-1"]["info"]["memory"]["usable_bytes"] = 4 * 2**30
    done, done_groups = machines.inventory(3, 1)
    made = planner.cluster_plan(done, done_groups)
    for host, row in done.items():
        row["info"] = machines.applied(row["info"], made["nodes"][host], made)
    return {
        "new": made,
        "k3s": planner.cluster_plan(small, groups),
        "many": planner.cluster_plan(*machines.inventory(5, 60)),
        "refused": planner.cluster_plan(*machines.inventory(2, 1, memory=2**29)),
        "done": planner.cluster_plan(done, done_groups),
        "empty": planner.cluster_plan({}, {}),
    }


PLANS = plans()


def measured(tmp_path, name, *words):
    """Return what the browser measures on a plan's page, by width."""
    text = page.html(
        PLANS[name],
        inventory="inventories/production/hosts.yml",
        date="2026-01-31 12:00 UTC",
        kubeconfig="/" + "long/" * 20,
    )
    (tmp_path / "plan.html").write_text(text, encoding="utf-8")
    (tmp_path / "frame.html").write_text(MEASURE + "".join(FRAME % width for width in WIDTHS), encoding="utf-8")
    shown = chromium(tmp_path, *words, "--dump-dom", f"file://{tmp_path}/frame.html")
    seen = re.search(r"<title>(.*?)</title>", shown)
    assert seen, shown[:500]
    return {width: json.loads(html.unescape(seen[1]))["%dpx" % width] for width in WIDTHS}


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("name", PLANS)
def test_it_is_legible(tmp_path, name, dark):
    for width, facts in measured(tmp_path, name, *([DARK] if dark else [])).items():
        assert facts["wide"] <= width and facts["text"] > 50, facts
        assert facts["least_font"] >= 12, facts
        assert facts["text_contrast"][0] >= 4.5, facts["text_contrast"]
        assert not facts["edge_contrast"] or facts["edge_contrast"][0] >= 3, facts["edge_contrast"]
        assert facts["ground"] == ("rgb(13, 17, 23)" if dark else "rgb(255, 255, 255)")
        assert facts["figure"] == (name in ("new", "k3s", "many", "done")), facts
        # Red marks only insufficient machines. On a phone, tables become cards without a header row.
        assert bool(facts["red"]) == (name == "refused"), facts
        assert name == "empty" or facts["head_shown"] == (width > 900), facts


def test_it_prints(tmp_path):
    (tmp_path / "plan.html").write_text(page.html(PLANS["many"]), encoding="utf-8")
    chromium(tmp_path, f"--print-to-pdf={tmp_path}/plan.pdf", f"file://{tmp_path}/plan.html")
    printed = (tmp_path / "plan.pdf").read_bytes()
    assert printed.startswith(b"%PDF")
    # Printed as a table, not as cards: 65 nodes need few pages.
    assert len(re.findall(rb"/Type\s*/Page\b(?!s)", printed)) <= 12
