# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Why certificates may not be renewed now, and what the user should know. Pure functions of facts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ...module_utils.api import kubelet
from ...module_utils.api.certificates import AUTHORITIES
from ...module_utils.detect.renewal import KUBELET
from ..base.findings import Finding
from ..plan import distributions, membership
from ..plan.checks import certificates

Infos = Mapping[str, Mapping[str, Any]]
# With a clock that is wrong by more, certificates only look expired.
CLOCK_SECONDS = 86400
# kubeadm's certificates are valid for a year: those made later than a year before the authority ends outlive it.
AUTHORITY_DAYS = 365


def renewable(cluster: Mapping[str, Any]) -> list[str]:
    """Return the certificates of a node that this operation renews."""
    return distributions.by_name(cluster["kind"]).renewable(cluster)


def expired(cluster: Mapping[str, Any]) -> list[str]:
    """Return the certificates of a node that have expired, without the authorities'."""
    known = cluster.get("certificates") or {}
    names = [*renewable(cluster), *([KUBELET] if KUBELET in known else [])]
    return [name for name in names if known[name]["days_left"] < 0]


def next_to_expire(clusters: Mapping[str, Any]) -> tuple[str, str, int]:
    """Return (name, host, days left) of the certificate that expires next, ("", "", 0) if none is known."""
    rows = [
        (cluster["certificates"][name]["days_left"], host, name)
        for host, cluster in clusters.items()
        for name in renewable(cluster)
    ]
    days, host, name = min(rows) if rows else (0, "", "")
    return name, host, days


def in_words(days: int) -> str:
    """Return "has 12 days left" or "expired 3 days ago". days: whole ones, rounded down."""
    if days < -1:
        return "expired %d %s ago" % (-days - 1, "day" if days == -2 else "days")
    if days < 0:
        return "has expired"
    return "has %d %s left" % (days, "day" if days == 1 else "days")


def refusals(
    plan: Mapping[str, Any], infos: Infos, planes: Sequence[str], healthy: Sequence[str], offline: bool
) -> list[Finding]:
    """Return why nothing may be changed.

    planes: control planes that were looked at. healthy: those whose API servers answer. offline: none does, and
    certificates have expired.
    """
    found = _clocks(infos, planes) + _authorities(infos, planes)
    missing = [host for host in plan["control_planes"] if host not in planes]
    needed = len(plan["control_planes"]) // 2 + 1
    if offline and len(planes) < needed:
        text = "%s: cannot be looked at. %d of %d control planes are left, and etcd needs %d. Start one of them first."
        values = (", ".join(missing), len(planes), len(plan["control_planes"]), needed)
        found.append(Finding("rotate.no_majority", text % values, None, len(planes), needed))
    if not offline:
        text = (
            "%s: cannot be looked at. While another control plane is restarted etcd would miss two members. Start it, "
            "or remove it from the cluster (kubewright.cluster.remove)."
        )
        found += [Finding("rotate.silent_control_plane", text % host, host) for host in missing]
        found += [one for host in planes if host not in healthy for one in _unhealthy(host, infos[host])]
    return found


def _unhealthy(host: str, info: Mapping[str, Any]) -> list[Finding]:
    """Refuse a control plane that does not serve, unless it is because of its certificates."""
    cluster = info["cluster"]
    distribution = distributions.by_name(cluster["kind"])
    # As a killed run may leave it.
    stopped = distribution.renews_at_start and not is_active(info, distribution.unit("control_plane"))
    if expired(cluster) or (cluster.get("renewal") or {}).get("outdated") or stopped:
        return []
    text = (
        "%s: its API server does not answer (%s), and none of its certificates has expired. Start it first "
        "(kubewright.cluster.site), or remove it (kubewright.cluster.remove)."
    )
    why = membership.live_of(info).get("error") or "it was not asked"
    return [Finding("rotate.unhealthy", text % (host, why), host, why)]


def is_active(info: Mapping[str, Any], unit: str) -> bool:
    """Return True if a service runs."""
    return bool(((info.get("services") or {}).get(unit) or {}).get("active") == "active")


def _clocks(infos: Infos, planes: Sequence[str]) -> list[Finding]:
    text = (
        "%s: its clock is %d days %s the controller's, so what its certificates have left is not known. Set the wrong "
        "clock (timedatectl)."
    )
    found = []
    for host in planes:
        offset = (infos[host].get("clock") or {}).get("offset_seconds") or 0
        if abs(offset) > CLOCK_SECONDS:
            days = round(abs(offset) / 86400)
            values = (host, days, "ahead of" if offset > 0 else "behind")
            found.append(Finding("rotate.clock", text % values, host, round(offset), CLOCK_SECONDS))
    return found


def _authorities(infos: Infos, planes: Sequence[str]) -> list[Finding]:
    text = (
        "%s: the authority %s has expired, and what it signs is not valid either. Restore it from a backup, or "
        "replace it by upstream's procedure: https://kubernetes.io/docs/tasks/tls/manual-rotation-of-ca-certificates/"
    )
    return [
        Finding("rotate.authority_expired", text % (host, name), host, name)
        for host in planes
        for name, days in _authority_days(infos[host]["cluster"]).items()
        if days < 0
    ]


def _authority_days(cluster: Mapping[str, Any]) -> dict[str, int]:
    known = cluster.get("certificates") or {}
    return {name: known[name]["days_left"] for name in sorted(set(AUTHORITIES.values())) if name in known}


def external(host: str, names: Sequence[str], cluster: Mapping[str, Any]) -> list[Finding]:
    """Refuse to renew certificates whose authority's key is not on the node: kubeadm would leave them as they are."""
    if distributions.by_name(cluster["kind"]).renews_at_start:
        return []  # without the keys it does not start
    keys = (cluster.get("renewal") or {}).get("authorities") or []
    text = (
        "%s: the private key of the authority %s is not on the node, so %s cannot be renewed here. Make requests with "
        "`kubeadm certs generate-csr`, put the signed certificates in place and run again: what uses them is restarted."
    )
    found = []
    for authority in sorted(set(AUTHORITIES.values()) - set(keys)):
        mine = [name for name in names if AUTHORITIES[name] == authority]
        if mine:
            found.append(
                Finding("rotate.external_authority", text % (host, authority, ", ".join(mine)), host, authority)
            )
    return found


def warnings(
    plan: Mapping[str, Any], infos: Infos, planes: Sequence[str], due: Sequence[Any], offline: bool
) -> list[Finding]:
    """Return what the user should know. due: operations.rotate.Row of what changes."""
    found = []
    restarting = [row for row in due if row.control_plane and {"etcd", "kube-apiserver", "k3s"} & set(row.restarted)]
    count = len(plan["control_planes"])
    if restarting and count < 3 and not offline:
        text = "%s: with %s the API does not answer for some seconds while etcd and the API server are restarted."
        number = "one control plane" if count == 1 else "two control planes"
        found.append(Finding("rotate.gap", text % (", ".join(row.host for row in restarting), number), None, count, 3))
    for host in [*plan["control_planes"], *plan["workers"]]:
        if host not in infos and (offline or host in plan["workers"]):
            text = "%s: could not be looked at, so it stays as it is. Run this again when it is there."
            found.append(Finding("rotate.silent_node", text % host, host))
    for host in planes:
        for name, days in _authority_days(infos[host]["cluster"]).items():
            if 0 <= days < AUTHORITY_DAYS:
                text = "%s: the authority %s ends in %d days, and with it all that it signed. Plan its replacement."
                found.append(Finding("rotate.authority_ends", text % (host, name, days), host, days, AUTHORITY_DAYS))
    # Those that this operation renews are in its tasks.
    names = {host: node["name"] for host, node in plan["nodes"].items()}
    kinds = (kubelet.SIGNED, kubelet.GIVEN, kubelet.NONE)
    return found + certificates.served_by_kubelets({host: infos[host] for host in names if host in infos}, names, kinds)
