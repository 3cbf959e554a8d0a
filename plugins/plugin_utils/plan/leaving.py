# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which hosts leave a cluster when only some of its hosts are reset, and who takes their etcd members out."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, NamedTuple

from ..base.findings import Finding
from . import distributions, membership

Looks = Mapping[str, Mapping[str, Any]]


class Leaving(NamedTuple):
    """The hosts that are reset while their cluster stays.

    asked: the healthy control plane that removes their etcd members; None if there is nothing to remove.
    hosts: [{host, name, addresses}] of all that are reset. refusals: why nothing may be reset.
    """

    asked: str | None
    hosts: list[dict[str, Any]]
    refusals: list[Finding]


def leaving(looks: Looks, control_planes: Collection[str], reset: Collection[str]) -> Leaving:
    """Return who leaves.

    looks: by host {info, error, inputs} of all hosts of the cluster. control_planes: by the groups. reset: hosts that
    are reset in this run.
    """
    going = {host: looks.get(host) or {} for host in reset}
    stay = {host: look["info"] for host, look in sorted(looks.items()) if host not in going and look.get("info")}
    stay = {host: info for host, info in stay.items() if not _is_unknown(info)}
    members = [host for host, info in stay.items() if has_member(info)]
    missing = sorted(host for host in set(control_planes) - set(going) if host not in stay)
    if not members:
        last = [host for host, look in sorted(going.items()) if _has_data(look.get("info") or {})]
        with_member = [host for host in last if has_member(going[host]["info"])]
        return Leaving(None, [], _silent(with_member, missing) if missing else _left_behind(last, going, stay))
    authorities = {(stay[host].get("cluster") or {}).get("ca_sha256") for host in members}
    hosts: list[dict[str, Any]] = []
    unsure: list[str] = []
    for host, look in sorted(going.items()):
        info = look.get("info")
        if not info or _is_unknown(info):
            unsure += [host] if host in control_planes else []
        elif (info.get("cluster") or {}).get("ca_sha256") in {None, *authorities}:
            hosts.append({"host": host, "name": _name(host, look, info), "addresses": addresses_of(info)})
    asked = next((host for host in members if membership.live_of(stay[host]).get("healthy")), None)
    silent = [] if asked else [item["host"] for item in hosts if has_member(going[item["host"]]["info"])]
    return Leaving(asked, hosts, _unknown(unsure, going) + _silent(silent, members))


def _is_unknown(info: Mapping[str, Any]) -> bool:
    """Return True if the look could not say whether the machine is in a cluster."""
    return "cluster" in (info.get("failed_parts") or {})


def has_member(info: Mapping[str, Any]) -> bool:
    """Return True if a machine is a control plane with an etcd member of the cluster."""
    cluster = info.get("cluster") or {}
    kind = cluster.get("kind")
    return bool(kind and distributions.is_known(kind) and distributions.by_name(kind).has_etcd_member(cluster))


def _has_data(info: Mapping[str, Any]) -> bool:
    """Return True if the cluster's data are on this machine, in etcd or in SQLite."""
    return has_member(info) or (info.get("cluster") or {}).get("datastore") == "sqlite"


def _left_behind(last: list[str], going: Looks, stay: Looks) -> list[Finding]:
    """Refuse to reset the last control planes while workers of their cluster stay: nothing could manage these."""
    authorities = {going[host]["info"]["cluster"].get("ca_sha256") for host in last} - {None}
    workers = [host for host, info in stay.items() if (info.get("cluster") or {}).get("ca_sha256") in authorities]
    if not workers:
        return []
    text = (
        "%s: the cluster's last control plane would be reset, and %s would stay, with pods that nothing manages. Reset "
        "these too: leave out --limit, or name all hosts of the cluster."
    )
    shown = ", ".join(workers)
    return [Finding("reset.workers_left", text % (", ".join(last), shown), None, last, workers)]


def _unknown(hosts: list[str], going: Looks) -> list[Finding]:
    text = (
        "%s: %s, so whether it has an etcd member of the cluster that stays is unknown. Correct that, or leave it out "
        "with --limit."
    )
    return [
        Finding("reset.unknown_member", text % (host, going[host].get("error") or "it was not looked at"), host)
        for host in hosts
    ]


def _silent(hosts: list[str], members: list[str]) -> list[Finding]:
    text = (
        "%s: has an etcd member of the cluster, and no control plane that stays (%s) answers. Start one of them first. "
        "To give the cluster up, reset all of its hosts."
    )
    return [
        Finding("reset.no_control_plane", text % (host, ", ".join(members)), host, ", ".join(members)) for host in hosts
    ]


def _name(host: str, look: Mapping[str, Any], info: Mapping[str, Any]) -> str:
    named = (look.get("inputs") or {}).get("kube_node_name")
    return str(named or str(info.get("hostname") or host).partition(".")[0].lower())


def addresses_of(info: Mapping[str, Any]) -> list[str]:
    """Return the machine's addresses, except those that many machines have."""
    interfaces = (info.get("network") or {}).get("interfaces") or []
    return [
        item["address"]
        for interface in interfaces
        for item in interface.get("addresses") or []
        if item.get("scope") == "global"
    ]
