# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The operation rotate: which certificates are renewed, in which order, and why not. Pure functions of facts.

A cluster that serves is renewed one control plane at a time. One whose certificates have expired does not answer: its
control planes are renewed from their files, all at once.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from ...module_utils.api import kubelet
from ...module_utils.detect.renewal import KUBELET
from ...module_utils.kubeadm import renew
from ...module_utils.node import paths
from ..base.findings import Finding
from ..plan import distributions, membership
from ..plan.checks import certificates, identity
from . import rotate_checks as checks

Infos = Mapping[str, Mapping[str, Any]]
# Refusals of the cluster's plan that concern this operation too: who the machines are, and that they can be used.
CONCERNS = (
    "member.",
    "user.",
    "inputs.",
    "groups.",
    "address.gone",
    "address.not_unique",
    "machine.listed_twice",
    "cluster.locked",
)
# Only what `site` changes.
OF_SITE = ("member.change_waits",)
# Part of a kubelet's certificate that is left when it should have renewed it: it does so when 10 to 30 percent are
# left.
LATE = 0.1
# For so long the cluster's lock is kept for one control plane, beside rotate_timeout, which its renewal and its gate
# may take both.
HOLD_SECONDS = 180
# The administrator's certificate, which the kubeconfig on the controller has.
ADMIN = {"admin.conf", "server/tls/client-admin"}


@dataclass
class Row:
    """What is done on one node.

    certificates: as kubeadm names them. restarts: static pods whose processes do not use their files. kubelet: none,
    restart or borrow. serving: its kubelet makes the certificate that it serves again. healthy: its API server answers.
    drained: an interrupted run took it out of the API endpoints. helper: the control plane that takes the lock
    meanwhile. unit, data_dir, program: of K3s.
    """

    host: str
    name: str
    control_plane: bool
    certificates: list[str] = field(default_factory=list)
    restarts: list[str] = field(default_factory=list)
    kubelet: str = "none"
    serving: bool = False
    healthy: bool = True
    drained: bool = False
    etcd_cluster: str = ""
    helper: str = ""
    unit: str = ""
    data_dir: str = ""
    program: str = ""

    @property
    def restarted(self) -> list[str]:
        """Return all static pods that are restarted, or the service that is everything in one."""
        if self.unit:
            return [self.unit] if self.certificates or self.restarts else []
        wanted = {*self.restarts, *renew.affected(self.certificates)}
        return [kind for kind in renew.ORDER if kind in wanted]

    @property
    def is_due(self) -> bool:
        """Return True if there is anything to do."""
        return bool(self.certificates or self.restarts or self.drained or self.serving or self.kubelet != "none")


def plan(plan: Mapping[str, Any], infos: Infos, options: Mapping[str, Any]) -> dict[str, Any]:
    """Return {what, mode, nodes, asked, idle, kubeconfig, tasks, stages, private, refusals, warnings}.

    plan: of the cluster. infos: by host node_info's facts. options: of the playbook; part: the hosts of this run;
    kubeadm_config: what the inputs set of ClusterConfiguration; kubeconfig: the file on the controller, for a cluster
    whose plan has problems. mode: rolling or offline. stages: the hosts of each
    play. private: what tasks read, and nobody is shown.
    """
    result: dict[str, Any] = {"what": options["what"], "mode": "rolling", "nodes": [], "asked": None, "idle": True}
    result.update(kind=None, kubeconfig=False, tasks=[], stages={}, private={}, refusals=[], warnings=[])
    clusters = {host: info["cluster"] for host, info in infos.items() if (info.get("cluster") or {}).get("kind")}
    planes = [host for host in plan["control_planes"] if host in clusters]
    result["refusals"] = _not_possible(plan, clusters, planes, options)
    if result["refusals"]:
        return result
    result["kind"] = clusters[planes[0]]["kind"]
    healthy = [host for host in planes if membership.live_of(infos[host]).get("healthy")]
    expired = {host: checks.expired(clusters[host]) for host in planes}
    offline = not healthy and any(expired.values())
    result["mode"] = "offline" if offline else "rolling"
    rows = _rows(plan, infos, planes, options, offline)
    result["refusals"] = _concerns(plan) + identity.several_clusters(_as_nodes(infos, planes), planes)
    result["refusals"] += checks.refusals(plan, infos, planes, healthy, offline)
    result["refusals"] += [
        one for row in rows for one in checks.external(row.host, row.certificates, clusters[row.host])
    ]
    due = [row for row in rows if row.is_due]
    for row in due:
        row.helper = next((host for host in healthy if host != row.host), row.host)
    result["refusals"] += _left_out(due, infos, options["part"])
    result["warnings"] = checks.warnings(plan, infos, planes, due, offline)
    known = plan.get("kubeconfig")  # None: it is not fetched, or the plan has problems
    changed = (known or {}).get("state") in ("new", "changed")
    fetched = bool(known or options["kubeconfig"])
    result["kubeconfig"] = changed or fetched and any(ADMIN & set(row.certificates) for row in due)
    result.update(nodes=[asdict(row) for row in due], idle=not due and not changed)
    result["asked"] = plan.get("leader") or (healthy or planes)[0]
    if not result["refusals"]:
        result["tasks"] = _tasks(due, clusters, options, result)
        result["stages"] = _stages(due, infos, result)
    result["private"] = {
        "config": _config(infos, healthy, options),
        "timeout": options["timeout"],
        "hold": HOLD_SECONDS + 2 * options["timeout"],
        "kubeconfig_file": options["kubeconfig"],
        "asked_name": plan["nodes"][result["asked"]]["name"],
        "borrowing": [row.name for row in due if row.kubelet == "borrow" and not row.control_plane],
    }
    return result


def _not_possible(
    plan: Mapping[str, Any], clusters: Mapping[str, Any], planes: Sequence[str], options: Mapping[str, Any]
) -> list[Finding]:
    """Refuse what this operation does not do at all."""
    if options["what"] != "certificates":
        text = (
            "rotate_what: %s is not supported by this release, which renews certificates only. Follow upstream's "
            "procedure: https://kubernetes.io/docs/tasks/tls/manual-rotation-of-ca-certificates/"
        )
        return [Finding("rotate.unsupported_what", text % options["what"], None, options["what"], "certificates")]
    if not planes:
        text = "No control plane with a cluster was found, so there is nothing to renew. Create the cluster with site."
        return [Finding("rotate.no_cluster", text)]
    for host, cluster in clusters.items():
        kind = cluster["kind"]
        if not distributions.is_known(kind):
            text = "%s: the certificates of a %s cluster are not renewed by this playbook. Use the tool that made it."
            return [Finding("rotate.unsupported", text % (host, kind), host, kind)]
    return []


def _concerns(plan: Mapping[str, Any]) -> list[Finding]:
    rows = [row for row in plan["refusals"] if row["id"].startswith(CONCERNS) and row["id"] not in OF_SITE]
    return [Finding(**row) for row in rows]


def _as_nodes(infos: Infos, hosts: Sequence[str]) -> dict[str, dict[str, Any]]:
    return {host: {"info": infos[host]} for host in hosts}


def _rows(
    plan: Mapping[str, Any], infos: Infos, planes: Sequence[str], options: Mapping[str, Any], offline: bool
) -> list[Row]:
    """Return what is done on each node that was looked at: control planes first, in the order in which they change."""
    drained = {name for info in infos.values() for name in info.get("endpoint_drained") or []}
    found = []
    for host in [*planes, *(host for host in plan["workers"] if host in infos)]:
        cluster, live = infos[host]["cluster"], membership.live_of(infos[host])
        if not cluster.get("kubelet_conf") and host not in planes:
            continue  # it has not joined yet
        name = cluster.get("node_name") or plan["nodes"][host]["name"]
        row = Row(host, name, host in planes, kubelet=_kubelet(infos[host]), drained=name in drained)
        row.serving = _serving(infos[host], options)
        if row.control_plane:
            row.healthy, row.etcd_cluster = bool(live.get("healthy")), str(live.get("etcd_cluster") or "")
        distribution = distributions.by_name(cluster["kind"])
        if distribution.renews_at_start:
            row.unit = distribution.unit(plan["nodes"][host]["role"])
            _k3s(row, infos[host], options, offline and row.control_plane)
        elif row.control_plane:
            row.certificates = _due(cluster, options, offline)
            row.restarts = sorted((cluster.get("renewal") or {}).get("outdated") or {}, key=renew.ORDER.index)
        found.append(row)
    # Restarting those that do not serve costs nothing; etcd's leader goes last.
    leader = next((membership.live_of(infos[host]).get("etcd_leader") for host in planes), None)
    found.sort(key=lambda row: (not row.control_plane, row.healthy, bool(leader) and row.name == leader))
    return found


def _due(cluster: Mapping[str, Any], options: Mapping[str, Any], offline: bool) -> list[str]:
    """Return the certificates of a control plane that are renewed, as kubeadm names them."""
    known, everything = cluster.get("certificates") or {}, offline or options["force"]
    return [name for name in checks.renewable(cluster) if everything or known[name]["days_left"] < options["days"]]


def _k3s(row: Row, info: Mapping[str, Any], options: Mapping[str, Any], everything: bool) -> None:
    """Complete the row of a K3s node. Its command moves all certificates away; one that is stopped is started."""
    row.data_dir = info["cluster"].get("data_dir") or paths.K3S_DATA
    row.program = ((info.get("installed") or {}).get("k3s") or {}).get("path") or paths.K3S_PROGRAM
    due = _due(info["cluster"], options, everything)
    row.certificates = checks.renewable(info["cluster"]) if due else []
    row.restarts = [] if checks.is_active(info, row.unit) else [row.unit]
    row.kubelet = "none"


def _kubelet(info: Mapping[str, Any]) -> str:
    """Return what a node's kubelet needs: it renews its certificate on its own, except one that has expired."""
    cluster = info["cluster"]
    known = (cluster.get("certificates") or {}).get(KUBELET)
    if not cluster.get("kubelet_conf"):
        return "none"
    if known is None or known["days_left"] < 0 or (cluster.get("renewal") or {}).get("borrowed"):
        return "borrow"
    late = (known.get("life_days") or 0) * LATE
    return "restart" if known["days_left"] < late and known["life_days"] > 1 else "none"


def _serving(info: Mapping[str, Any], options: Mapping[str, Any]) -> bool:
    """Return True if a kubelet has to make its serving certificate again: it never does so on its own."""
    known = certificates.serving_of(info)
    due = known.get("waits") or options["force"] or known.get("days_left", 0) < options["days"]
    return known.get("kind") == kubelet.SELF_SIGNED and bool(due)


def _left_out(due: Sequence[Row], infos: Infos, part: Collection[str]) -> list[Finding]:
    """Refuse --limit where it leaves out nodes that change, or whose endpoints lead to control planes that do."""
    planes = [row for row in due if row.control_plane and row.restarted]
    wanted = set(infos) if planes else {row.host for row in due}
    text = "%s: has to be changed too, and --limit leaves it out. Run without --limit."
    return [Finding("limit.left_out", text % host, host) for host in sorted(wanted - set(part))]


def _config(infos: Infos, healthy: Sequence[str], options: Mapping[str, Any]) -> str:
    """Return the ClusterConfiguration that the cluster stores; where its API is silent, what the inputs set of it."""
    for host in healthy:
        text = (membership.live_of(infos[host]).get("kubeadm_config") or {}).get("ClusterConfiguration")
        if text:
            return str(text)
    return str(options.get("kubeadm_config") or "")


def _tasks(
    due: Sequence[Row], clusters: Mapping[str, Any], options: Mapping[str, Any], result: Mapping[str, Any]
) -> list[str]:
    """Return what is done, as lines of text."""
    rows = ["%s: %s" % (row.host, _steps(row, clusters[row.host])) for row in due]
    if result["mode"] == "offline":
        rows.insert(0, "The API does not answer, because certificates have expired: all control planes at once.")
    if result["kubeconfig"]:
        rows.append("controller: update the kubeconfig")
    if not rows:
        name, host, days = checks.next_to_expire(clusters)
        text = "nothing to renew: %s on %s has %d days left, the limit is %d (rotate_days)"
        rows.append(text % (name, host, days, options["days"]) if name else "nothing to renew")
    return rows


def _steps(row: Row, cluster: Mapping[str, Any]) -> str:
    steps = []
    if row.certificates:
        known = cluster["certificates"]
        least = min(row.certificates, key=lambda name: int(known[name]["days_left"]))
        count = "1 certificate" if len(row.certificates) == 1 else "%d certificates" % len(row.certificates)
        steps.append("renew %s (%s %s)" % (count, least, checks.in_words(known[least]["days_left"])))
    if row.restarted:
        steps.append("restart %s" % ", ".join(row.restarted))
    if row.kubelet != "none":
        why = (cluster.get("certificates") or {}).get(KUBELET)
        state = checks.in_words(why["days_left"]) if why else "is missing"
        steps.append("new client certificate for its kubelet (%s)" % state)
    if row.serving:
        known = (cluster.get("renewal") or {})["serving"]
        text = "new serving certificate for its kubelet (%s)"
        steps.append(text % ("is not used yet" if known["waits"] else checks.in_words(known["days_left"])))
    return ", ".join(steps) or "return it to the API endpoints"


def _stages(due: Sequence[Row], infos: Infos, result: Mapping[str, Any]) -> dict[str, list[str]]:
    """Return the hosts of each play of the playbook."""
    planes = [row.host for row in due if row.control_plane]
    offline = result["mode"] == "offline"
    return {
        "expired": planes if offline else [],
        # All nodes take a control plane out of their endpoints while it changes.
        "renew": list(infos) if planes and not offline else [],
        "workers": [row.host for row in due if not row.control_plane],
        "asked": [result["asked"]] if result["kubeconfig"] else [],
        "stay": [] if result["idle"] else list(infos),
    }
