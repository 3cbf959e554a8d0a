# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The order of an upgrade: which control plane is changed to which version, in which round. Pure functions.

The state of a cluster says how far an upgrade is, so the same functions plan an upgrade that was interrupted.
https://kubernetes.io/docs/tasks/administer-cluster/kubeadm/kubeadm-upgrade/ and versions.SKEW_PAGE
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from ..base import versions
from ..kubeadm import etcd_image, service
from ..kubeadm.etcd_image import Version


@dataclass(frozen=True)
class Plane:
    """A control plane. version: of its running API server. etcd: of its running member, None without one."""

    host: str
    name: str
    version: str
    etcd: Version | None = None
    leads: bool = False


@dataclass(frozen=True)
class State:
    """How far a cluster is. stored, stored_tag: Kubernetes version and etcd tag of the ConfigMap kubeadm-config, empty
    without one.

    kubelets: versions by host.
    """

    planes: Sequence[Plane]
    stored: str
    stored_tag: str
    kubelets: Mapping[str, str] = field(default_factory=dict)

    @property
    def oldest(self) -> str:
        """Return the version from which the path starts."""
        known = [plane.version for plane in self.planes] + ([self.stored] if self.stored else [])
        return min(known, key=versions.release_order)

    @property
    def order(self) -> list[Plane]:
        """Return the control planes in the order of a round: the one whose etcd member leads comes last."""
        return sorted(self.planes, key=lambda plane: (plane.leads, plane.host))


@dataclass(frozen=True)
class Round:
    """One control plane in one step.

    kind: kubeadm's command, apply or node. etcd: its member is upgraded too. upload: the configuration that is stored
    first, by its name in Path.documents; empty if none is. addons: CoreDNS and kube-proxy follow. asked: the host that
    takes the node out of service.
    """

    host: str
    name: str
    version: str
    kind: str
    etcd: bool
    upload: str
    addons: bool
    asked: str


@dataclass
class Path:
    """The whole way. hops: Kubernetes versions. carried: etcd's tag in the hops. documents: {name: (version, tag)}."""

    hops: list[str]
    rounds: list[Round]
    carried: str
    last: str
    documents: dict[str, tuple[str, str]]


def find(state: State, target: str, etcd_tag: str) -> Path:
    """Return the rounds from a state to a version. etcd_tag: of etcd's image in the end.

    Between two releases of etcd all members get the version that the rule of the next release asks for; the next
    release follows in separate rounds, when all API servers have the target.
    """
    hops = versions.upgrade_path(state.oldest, target)
    members = [plane.etcd for plane in state.planes if plane.etcd]
    rule = etcd_image.problem(min(members), etcd_image.parsed(etcd_tag)) if members else None
    carried = rule["image"] if rule else etcd_tag
    path = Path(hops, [], carried, etcd_tag, {"start": (state.stored, carried), "etcd": (target, etcd_tag)})
    reached = {plane.host: plane.etcd for plane in state.planes}
    _finish(path, state, target)
    _hops(path, state, target, reached)
    _etcd(path, state, target, carried, "start", reached)
    if rule:
        _etcd(path, state, target, etcd_tag, "etcd", reached)
    if members:
        _uploads(path, state)
    return path


def _add(path: Path, state: State, plane: Plane, kind: str, version: str, etcd: bool, addons: bool) -> None:
    others = [other.host for other in state.order if other.host != plane.host]
    asked = others[0] if others else plane.host
    path.rounds.append(Round(plane.host, plane.name, version, kind, etcd, "", addons, asked))


def _finish(path: Path, state: State, target: str) -> None:
    """Repeat kubeadm's `apply` of a version that a run may not have ended: its last phases leave no trace."""
    stored = versions.parse(state.stored)
    there = [plane for plane in state.order if versions.parse(plane.version) == stored]
    ahead = any(versions.parse(plane.version) > stored for plane in state.planes)
    behind = [plane.version for plane in state.planes] + list(state.kubelets.values())
    if there and not ahead and any(versions.parse(version) < stored for version in behind):
        _add(path, state, there[0], "apply", state.stored, False, state.stored == target)


def _hops(path: Path, state: State, target: str, reached: dict[str, Version | None]) -> None:
    stored, running = (
        versions.parse(state.stored),
        {plane.host: versions.parse(plane.version) for plane in state.planes},
    )
    carried = etcd_image.parsed(path.carried)
    for version in path.hops:
        wanted, is_last = versions.parse(version), version == path.hops[-1]
        pending = [plane for plane in state.order if running[plane.host] < wanted]
        kinds = ["node"] * len(pending)
        if stored < wanted:
            ahead = [plane for plane in state.order if running[plane.host] == wanted]
            pending, kinds = ahead[:1] + pending, ["apply", *["node"] * (len(pending) - (not ahead))]
        for plane, kind in zip(pending, kinds):
            member = reached[plane.host]
            etcd = is_last and member is not None and member < carried
            _add(path, state, plane, kind, version, etcd, version == target)
            reached[plane.host] = carried if etcd else member
            running[plane.host] = wanted
        stored = max(stored, wanted)


def _etcd(path: Path, state: State, target: str, tag: str, upload: str, reached: dict[str, Version | None]) -> None:
    """Add rounds that change etcd only: kubeadm keeps manifests that are equal."""
    wanted, first = etcd_image.parsed(tag), True
    for plane in state.order:
        member = reached[plane.host]
        if member is not None and member < wanted:
            _add(path, state, plane, "node", target, True, False)
            if first and upload == "etcd":
                last = path.rounds.pop()
                path.rounds.append(Round(**{**asdict(last), "upload": upload}))
            reached[plane.host], first = wanted, False


def _uploads(path: Path, state: State) -> None:
    """Let the first round store etcd's tag, where the cluster's configuration has another."""
    known = state.stored_tag or versions.images_of(state.stored)["etcd"]
    if path.rounds and not path.rounds[0].upload and known != path.carried:
        first = path.rounds[0]
        path.rounds[0] = Round(**{**asdict(first), "upload": "start"})


def images(path: Path, target: str, role: str) -> list[str]:
    """Return the images that a node of this role needs on the way."""
    if role != "control_plane":
        return service.release_images(target, path.last, role)
    wanted: list[str] = []
    for version in [*path.hops, target]:
        for tag in (path.carried, path.last):
            wanted += service.release_images(version, tag, role)
    return list(dict.fromkeys(wanted))


def rows(path: Path) -> list[dict[str, Any]]:
    """Return the rounds as plain data."""
    return [asdict(each) for each in path.rounds]
