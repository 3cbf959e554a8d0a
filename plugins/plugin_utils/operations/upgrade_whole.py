# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The upgrade of a cluster whose API server and kubelet are one program, as with K3s. Pure functions.

A control plane goes through each release as a whole, because API servers skip none (versions.SKEW_PAGE). In the
releases between, the program is replaced and restarted while its pods keep running, as upstream's own way does
(https://docs.k3s.io/upgrades/manual). Pods are evicted once, before the last release.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from ..base import quantity, versions
from ..base.distribution import Distribution
from ..base.findings import Finding
from ..inputs import feature_gates
from ..plan import distributions
from . import upgrade_checks as checks, upgrade_rules as rules
from .upgrade_checks import Case
from .upgrade_path import State

# Measured on container nodes with two shared CPUs; machines of their own are faster.
SNAPSHOT_SECONDS, PROGRAM_SECONDS, ROUND_SECONDS, WINDOW_SECONDS = 20, 20, 30, 50
# A release unpacks its programs in the data directory, and its archive of images is imported from there.
RELEASE_BYTES = 1 << 30
# Arguments of K3s's components with feature gates: https://docs.k3s.io/cli/server#customized-flags
GATED = (
    "kube-apiserver-arg",
    "kube-controller-manager-arg",
    "kube-scheduler-arg",
    "kube-proxy-arg",
    "kubelet-arg",
    "kube-cloud-controller-manager-arg",
)


def hops(state: State, target: str, distribution: Distribution) -> list[str]:
    """Return the releases after the oldest control plane's up to the wanted one. Nothing if all have it."""
    if versions.release_order(target) <= versions.release_order(state.oldest):
        return []
    between = versions.upgrade_path(state.oldest, target)[:-1]
    return [*(version + distribution.release_suffix + "1" for version in between), target]


def rounds(state: State, way: Sequence[str]) -> list[dict[str, Any]]:
    """Return who is restarted in which release before the last one, in order."""
    found = []
    for version in way[:-1]:
        for plane in state.order:
            if versions.release_order(plane.version) < versions.release_order(version):
                others = [other.host for other in state.order if other.host != plane.host]
                asked = others[0] if others else plane.host
                found.append({"host": plane.host, "name": plane.name, "version": version, "asked": asked})
    return found


# -- what speaks against it --------------------------------------------------------------------------------------------


def removed(case: Case) -> list[Finding]:
    """Refuse feature gates and flags of the kubelet that a release on the way does not know, by name."""
    found: list[Finding] = []
    for host, row in sorted(case.inputs.items()):
        given = {
            "k3s_config.%s" % key: [gate for text in _listed(row["k3s_config"], key) for gate in rules.gates(text)]
            for key in GATED
        }
        given["kubelet_config.featureGates"] = rules.gates(row["kubelet_config"].get("featureGates") or {})
        oldest = case.state.kubelets.get(host) or case.state.oldest
        for where, gates in sorted(given.items()):
            for name, release in rules.removed(feature_gates.REMOVED_GATES, gates, oldest, case.target).items():
                text = "%s: Kubernetes %s does not know the feature gate %s any more, and K3s would not start. "
                text += "Take it out, run site, then upgrade."
                found.append(Finding("upgrade.removed_gate", text % (where, release, name), None, name, release))
        flags = [text.lstrip("-").partition("=")[0] for text in _values(row["k3s_config"], "kubelet-arg")]
        for name, release in rules.removed(rules.REMOVED_KUBELET_FLAGS, flags, oldest, case.target).items():
            text = "%s: k3s_config.kubelet-arg: Kubernetes %s does not know the kubelet's flag %s any more, and K3s "
            text += "would not start. Take it out, run site, then upgrade."
            found.append(Finding("upgrade.removed_flag", text % (host, release, name), host, name, release))
    return list(dict.fromkeys(found))


def _listed(settings: Mapping[str, Any], key: str) -> list[str]:
    """Return the values of feature-gates in an argument of K3s, with the ones that are added to it."""
    return [text.partition("=")[2] for text in _values(settings, key) if text.lstrip("-").startswith("feature-gates=")]


def _values(settings: Mapping[str, Any], key: str) -> list[str]:
    """Return the values of an argument of K3s, with the ones that are added to it."""
    values: list[str] = []
    for name in (key, key + "+"):
        given = settings.get(name) or []
        values += [str(text) for text in (given if isinstance(given, (list, tuple)) else [given])]
    return values


def existing_program(case: Case) -> list[Finding]:
    """Refuse to pass releases between with a program that the user installs: there is one of them only."""
    way = hops(case.state, case.target, distributions.by_name(case.plan["distribution"]))
    hosts = [host for host in case.plan["control_planes"] if case.inputs[host]["k3s_install_method"] == "existing"]
    if len(way) < 2 or not hosts:
        return []
    text = (
        "%s: k3s_install_method existing has one program, and servers pass %s before %s. Put K3s %s there, set "
        "kube_version to it, and upgrade; then the next one."
    )
    values = (hosts[0], ", ".join(way[:-1]), way[-1], way[0])
    return [Finding("upgrade.existing_program", text % values, hosts[0], len(way), 1)]


def converts(case: Case) -> list[Finding]:
    """Refuse to convert the datastore in the same run."""
    text = "%s: its datastore will be converted. An upgrade changes nothing else: run site with kube_version: %s first."
    return [
        Finding("upgrade.converts", text % (host, case.state.oldest), host)
        for host, node in sorted(case.plan["nodes"].items())
        if node.get("action") == "convert"
    ]


def disks(case: Case) -> list[Finding]:
    """Refuse control planes without room for what each release unpacks, and for a snapshot of etcd."""
    distribution = distributions.by_name(case.plan["distribution"])
    sizes = [member["size"] for member in case.answer.get("members") or [] if member.get("size")]
    count = len(hops(case.state, case.target, distribution))
    found = []
    for plane in case.state.planes:
        known = case.infos[plane.host].get("disks") or {}
        place = distribution.storage("control_plane", case.inputs[plane.host], str(case.plan["datastore"]))
        needs = {place.runtime: count * RELEASE_BYTES}
        if place.datastore:
            needs[place.datastore] = max(sizes or [0])
        for path, need in needs.items():
            free = (known.get(path) or {}).get("free_bytes")
            if free is not None and free < need:
                text = "%s: %s free under %s, the upgrade needs %s. Make room."
                values = (plane.host, quantity.human(free), path, quantity.human(need))
                found.append(Finding("upgrade.disk", text % values, plane.host, free, need))
    return found


ALL = (
    checks.downgrade,
    checks.skew,
    checks.nodes,
    checks.first_site,
    converts,
    existing_program,
    checks.etcd,
    removed,
    checks.apis,
    disks,
    checks.obstacles,
    checks.plans,
    checks.lock,
)


# -- in words ----------------------------------------------------------------------------------------------------------


def lines(plan: Mapping[str, Any], state: State, operation: Mapping[str, Any]) -> list[str]:
    """Return what is done, in order."""
    distribution, target = distributions.by_name(plan["distribution"]), checks.target_of(plan)
    if not (operation["rounds"] or operation["windows"] or operation["workers"]):
        return ["Every node has %s %s: nothing to do." % (distribution.title, target)]
    way = " → ".join([state.oldest, *operation["hops"]])
    rows = ["%s %s, about %d minutes" % (distribution.title, way, math.ceil(operation["seconds"] / 60))]
    rows += ["first: " + row for row in (operation["backup"] or {}).get("tasks") or []]
    if operation["hops"]:
        rows.append("all nodes: programs of all releases, before anything changes")
    for version in operation["hops"][:-1]:
        hosts = [row["host"] for row in operation["rounds"] if row["version"] == version]
        text = "%s: %s %s, one after the other, while their pods keep running"
        rows += [text % (", ".join(hosts), distribution.title, version)] if hosts else []
    windows, workers = [row["host"] for row in operation["windows"]], operation["workers"]
    for hosts, how in (
        (windows, "one after the other"),
        (workers, "%s at a time" % (plan.get("workers_at_once") or 1)),
    ):
        drains = "evict pods, " if any(host in operation["drained"] for host in hosts) else ""
        text = "%s: %s%s %s, programs and files, %s"
        rows += [text % (", ".join(hosts), drains, distribution.title, target, how)] if hosts else []
    return rows


def seconds(operation: Mapping[str, Any], batches: int) -> int:
    """Return about how long the upgrade takes, without the eviction of pods. batches: of workers."""
    total = SNAPSHOT_SECONDS if operation["backup"] else 0
    total += PROGRAM_SECONDS * len(operation["hops"]) + ROUND_SECONDS * len(operation["rounds"])
    return total + WINDOW_SECONDS * (len(operation["windows"]) + batches)


def warnings(case: Case) -> list[Finding]:
    """Return what the user should know before it starts."""
    text = (
        "%s: is the only server, so the API does not answer while it restarts, up to a minute a release. Pods keep "
        "running. With three servers it goes on answering."
    )
    single = [Finding("upgrade.single_server", text % host, host, 1, 3) for host in checks.only_control_plane(case)]
    return single + checks.single_pods(case)
