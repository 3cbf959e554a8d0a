# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The plan as one HTML page: drawn, readable on a phone, printed and by a screen reader. Nothing is fetched, nothing runs in it."""

from __future__ import annotations

from html import escape

from ..base import quantity
from ..plan import distributions
from . import plan_figure as topology, todo
from .plan_page_style import STYLE


def html(plan: dict) -> str:
    """The page of a plan."""
    title = "%s: the plan" % (plan.get("name") or "A cluster")
    parts = [
        _head(plan),
        _sentences("Refused: nothing is carried out", [row["text"] for row in plan["refusals"]], "refused"),
        _sentences("Warnings", [row["text"] for row in plan["warnings"]], "warned"),
        _why(plan),
        topology.figure(plan),
        _machines(plan),
        _steps(plan),
        _ports(plan["ports"]),
        _images(plan["images"]),
    ]
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        "<title>%s</title>\n<style>%s</style>\n</head>\n<body>\n<main>\n%s\n</main>\n</body>\n</html>\n"
        % (escape(title), STYLE, "\n".join(part for part in parts if part))
    )


def _head(plan):
    name = escape(plan.get("name") or "A cluster")
    if not plan.get("version"):
        return "<h1>%s</h1>\n<p>The machines and the inventory do not make a cluster yet.</p>" % name
    facts = [
        ("distribution", "%s %s" % (plan["distribution"], plan["version"])),
        ("datastore", plan["datastore"]),
        ("endpoint", "%s (%s)" % (plan["endpoint"]["host_port"], plan["endpoint"]["mode"])),
        ("network", "%s, kube-proxy %s" % (plan["plugin"], plan["proxy_mode"])),
        ("pods", ", ".join(plan["pod_cidrs"])),
        ("Services", ", ".join(plan["service_cidrs"])),
        ("nodes", "%d control planes, %d workers" % (len(plan["control_planes"]), len(plan["workers"]))),
    ]
    rows = "".join("<div><dt>%s</dt><dd>%s</dd></div>" % (key, escape(str(value))) for key, value in facts)
    return "<h1>%s</h1>\n<dl class=facts>%s</dl>" % (name, rows)


def _section(title, body, mark=""):
    return "<section%s>\n<h2>%s</h2>\n%s\n</section>" % (' class="%s"' % mark if mark else "", title, body)


def _list(items):
    return "<ul>%s</ul>" % "".join("<li>%s</li>" % item for item in items)


def _sentences(title, sentences, mark):
    return _section(title, _list(escape(text) for text in sentences), mark) if sentences else ""


def _why(plan):
    """Reasons with their sources, and what the other distribution would take."""
    items = []
    for reason in plan["reasons"]:
        source = reason.get("source")
        link = ' <a href="%s">source</a>' % escape(source, quote=True) if source else ""
        items.append("%s%s" % (escape(reason["text"]), link))
    items += [escape(other["text"]) for other in plan["alternatives"]]
    return _section("Why", _list(items)) if items else ""


def _machines(plan):
    """Each node with a bar of its CPUs and its memory; the mark is what the distribution needs of its role."""
    nodes = [(host, node) for host, node in sorted(plan["nodes"].items()) if node.get("machine")]
    if not nodes:
        return ""
    need = distributions.by_name(plan["distribution"] or "kubeadm").minimum
    most = {key: max(node["machine"][key] or 0 for _host, node in nodes) for key in ("memory_bytes", "cpus")}
    rows = []
    for host, node in nodes:
        machine, least = node["machine"], need[node["role"]]
        rows.append(
            "<tr><th scope=row>%s</th><td>%s</td><td>%s</td><td>%s</td><td>%s</td><td>%s</td><td>%s</td></tr>"
            % (
                escape(host),
                node["role"].replace("_", " "),
                escape("%s, %s" % (machine["architecture"], machine["os"])),
                _bar(machine["cpus"], least["cpus"], most["cpus"], "%g" % (machine["cpus"] or 0)),
                _bar(
                    machine["memory_bytes"],
                    least["memory"],
                    most["memory_bytes"],
                    quantity.human(machine["memory_bytes"] or 0),
                ),
                _left(node.get("capacity")),
                escape(
                    ", ".join(stage for stage in node.get("stages") or [] if stage != "leader") or "as it should be"
                ),
            )
        )
    head = "".join(
        "<th scope=col>%s</th>" % word for word in ("host", "role", "machine", "CPUs", "memory", "for pods", "to do")
    )
    note = "<p>The line in a bar is the least that %s needs of that role.</p>" % (plan["distribution"] or "kubeadm")
    table = "<table><thead><tr>%s</tr></thead><tbody>%s</tbody></table>" % (head, "".join(rows))
    return _section(
        "Machines", '<div class=wide tabindex=0 role=region aria-label="Machines">%s</div>\n%s' % (table, note)
    )


def _left(capacity):
    """What the kubelet leaves to pods, and how many it takes."""
    if not capacity or capacity["allocatable"]["memory_bytes"] is None:
        return "unknown" if capacity else ""
    left, pods = capacity["allocatable"], capacity["pods"]
    return "%g CPUs, %s<span class=aside> %d pods of 128 MiB, at most %d</span>" % (
        left["cpus"] or 0,
        escape(quantity.human(left["memory_bytes"])),
        pods["of_128Mi"],
        pods["limit"],
    )


def _bar(value, least, most, text):
    """A bar in words too: the picture alone would be nothing to a screen reader."""
    top = max(most or 0, least * 1.25)
    enough = value is not None and value >= least
    return (
        '<span class="bar%s"><i style="width:%.1f%%"></i><b style="left:%.1f%%"></b></span>'
        "<span class=value>%s<span class=aside>%s</span></span>"
        % (
            "" if enough else " short",
            100 * (value or 0) / top,
            100 * least / top,
            escape(text),
            "" if enough else " (too little)",
        )
    )


def _steps(plan):
    lines = [str(task) for task in todo.tasks(plan)]
    if plan["refusals"]:
        return ""
    if not lines:
        return _section("Steps", "<p>Every node is as it should be: nothing to do.</p>")
    return _section("Steps", _list(escape(line) for line in lines))


def _ports(rows):
    if not rows:
        return ""
    keys = ("port", "protocol", "to", "from", "purpose")
    head = "".join("<th scope=col>%s</th>" % key for key in keys)
    body = "".join("<tr>%s</tr>" % "".join("<td>%s</td>" % escape(str(row[key])) for key in keys) for row in rows)
    table = "<table><thead><tr>%s</tr></thead><tbody>%s</tbody></table>" % (head, body)
    return _section("To let through", '<div class=wide tabindex=0 role=region aria-label="Ports">%s</div>' % table)


def _images(images):
    if not images:
        return ""
    return "<section>\n<details>\n<summary>%d images</summary>\n%s\n</details>\n</section>" % (
        len(images),
        _list("<code>%s</code>" % escape(image) for image in images),
    )
