# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The plan's nodes drawn: workers above, the endpoint, control planes with their datastore below."""

from __future__ import annotations

from html import escape

WIDTH, BOX, GAP, HEIGHT, ROW = 760, 176, 12, 46, 58
SHOWN = 8  # of a role; the rest is a number


def figure(plan: dict) -> str:
    """An SVG figure with a caption that says the same in words; nothing where there is no plan of nodes."""
    if not plan.get("endpoint"):
        return ""
    nodes, mode = plan["nodes"], plan["endpoint"]["mode"]
    workers, planes = _boxes(plan["workers"], nodes, ""), _boxes(plan["control_planes"], nodes, plan["datastore"])
    top, parts = 8, []
    drawn, height = _rows(workers, top, "")
    parts += drawn
    middle = top + height + (34 if workers else 0)
    parts.append(_box(WIDTH / 2 - 150, middle, 300, plan["endpoint"]["host_port"], _WAYS.get(mode, mode), ""))
    below = middle + HEIGHT + 34
    drawn, height = _rows(planes, below, "plane")
    parts += drawn
    if workers:
        parts.append(_arrow(middle - 32, middle - 4))
    parts.append(_arrow(middle + HEIGHT + 2, below - 4))
    caption = "%s reach the API at %s (%s); %s on %s." % (
        _many(plan["workers"], "worker"),
        plan["endpoint"]["host_port"],
        _WAYS.get(mode, mode),
        plan["datastore"] or "the datastore",
        _many(plan["control_planes"], "control plane"),
    )
    return (
        '<figure>\n<svg viewBox="0 0 %d %d" width="%d" role="img" aria-label="%s">\n%s\n</svg>\n'
        "<figcaption>%s</figcaption>\n</figure>"
        % (WIDTH, below + height + 8, WIDTH, escape(caption, quote=True), "\n".join(parts), escape(caption))
    )


_WAYS = {
    "local": "each node's own way",
    "vip": "an address that the control planes share",
    "external": "your balancer",
    "none": "the control plane itself",
}


def _many(hosts, word):
    return "%d %s%s" % (len(hosts), word, "" if len(hosts) == 1 else "s")


def _boxes(hosts, nodes, what):
    """(title, line beneath) of each box."""
    boxes = [(host, ", ".join(filter(None, [nodes[host].get("address"), what]))) for host in hosts[:SHOWN]]
    if len(hosts) > SHOWN:
        boxes[-1] = ("and %d more" % (len(hosts) - SHOWN + 1), "")
    return boxes


def _rows(boxes, top, mark):
    """Boxes in centred rows: (SVG parts, height)."""
    across = max(1, int((WIDTH + GAP) // (BOX + GAP)))
    parts = []
    for start in range(0, len(boxes), across):
        row = boxes[start : start + across]
        left = (WIDTH - len(row) * BOX - (len(row) - 1) * GAP) / 2
        for number, (title, below) in enumerate(row):
            parts.append(_box(left + number * (BOX + GAP), top + start // across * ROW, BOX, title, below, mark))
    return parts, -(-len(boxes) // across) * ROW - (ROW - HEIGHT) if boxes else 0


def _box(left, top, width, title, below, mark):
    letters = int(width / 6.4)
    text = '<text x="%d" y="%d" text-anchor="middle"%s>%s</text>'
    return '<rect x="%d" y="%d" width="%d" height="%d" rx="6"%s/>%s%s' % (
        left,
        top,
        width,
        HEIGHT,
        ' class="%s"' % mark if mark else "",
        text % (left + width / 2, top + 19, "", escape(_cut(title, letters - 4))),
        text % (left + width / 2, top + 36, ' class="soft"', escape(_cut(below, letters + 3))) if below else "",
    )


def _cut(text, letters):
    return text if len(text) <= letters else text[: letters - 1] + "…"


def _arrow(start, end):
    x = WIDTH / 2
    return '<path d="M%d %d V%d M%d %d L%d %d L%d %d"/>' % (x, start, end, x - 4, end - 5, x, end, x + 4, end - 5)
