# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Kubernetes versions: reading, comparing, and which components belong to them."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from .findings import Finding, Problems
from .reference import KUBERNETES, RELEASES_PAGE, SKEW_PAGE

_VERSION = re.compile(r"^v?([0-9]+)\.([0-9]+)(?:\.([0-9]+))?([-+].*)?$")
_CLAUSE = re.compile(r"^(==|!=|>=|<=|>|<|=|~)?\s*(v?[0-9][^\s,]*)$")
_PRERELEASE = re.compile(r"^-([0-9A-Za-z.-]+)")
_TESTS: dict[str, Callable[[int], bool]] = {
    "==": lambda order: order == 0,
    "=": lambda order: order == 0,
    "~": lambda order: order == 0,
    "!=": lambda order: order != 0,
    ">=": lambda order: order >= 0,
    "<=": lambda order: order <= 0,
    ">": lambda order: order > 0,
    "<": lambda order: order < 0,
}


def parse(text: object) -> tuple[int, int, int | None]:
    """Return (major, minor, patch or None) of "1.36", "v1.36.3" or "v1.36.3+k3s1".

    Raise ValueError with the text otherwise.
    """
    found = _VERSION.match(str(text).strip())
    if not found:
        raise ValueError("%r is not a version: write it as 1.36 or 1.36.3" % (text,))
    major, minor, patch = found.groups()[:3]
    return int(major), int(minor), None if patch is None else int(patch)


def release_order(text: object) -> tuple[int, ...]:
    """Return what releases are ordered by, the number of a K3s release of the same version last: v1.36.3+k3s2."""
    major, minor_number, patch = parse(text)
    revision = re.search(r"\+[a-z0-9]*?([0-9]+)$", str(text).strip())
    return (major, minor_number, patch or 0, int(revision.group(1)) if revision else 0)


def minor(text: str) -> str:
    """Return "1.36" of "v1.36.3"."""
    return "%d.%d" % parse(text)[:2]


def is_newer(wanted: object) -> bool:
    """Return True if an input asks for a release after the newest known one."""
    try:
        return parse(wanted)[:2] > parse(newest_known())[:2]
    except ValueError:
        return False


def newest_known(before: tuple[int, ...] = ()) -> str:
    """Return the newest patch of the newest known release; of those older than (major, minor) where that is given."""
    known = [row["patch"] for row in KUBERNETES.values() if not before or parse(row["patch"])[:2] < before]
    return known[-1]


def choose(wanted: str, running: str = "") -> tuple[str, Problems]:
    """Return the full version to install for an input, such as "1.36.3", and what is wrong with it.

    wanted: the input, may be empty. running: the version of the running cluster, may be empty.
    """
    if not wanted:
        return running.lstrip("v") or newest_known(), Problems([], [])
    major, minor_number, patch = parse(wanted)
    release = "%d.%d" % (major, minor_number)
    known = KUBERNETES.get(release, {}).get("patch") or newest_known()
    version = known if patch is None else "%s.%d" % (release, patch)
    if patch is None and running and minor(running) == release:
        version = running.lstrip("v")
    oldest, newest = list(KUBERNETES)[0], list(KUBERNETES)[-1]
    if (major, minor_number) < parse(oldest)[:2]:
        text = "kube_version %s is older than %s, the oldest supported release. Choose one from %s to %s."
        if patch is None and minor_number < 10:
            text += " Without quotes, YAML reads 1.40 as 1.4."
        return version, Problems(
            [Finding("version.too_old", text % (wanted, oldest, oldest, newest), None, wanted, oldest)], []
        )
    if (major, minor_number) <= parse(newest)[:2]:
        return version, Problems([], _newer_patch(wanted, patch, known) if version != running.lstrip("v") else [])
    if patch is None or minor_number > parse(newest)[1] + 1:
        text = (
            "kube_version %s is unknown; the newest known release is %s. To try the release after it, name a "
            "full version such as 1.%d.0."
        )
        found = Finding("version.unknown", text % (wanted, newest, parse(newest)[1] + 1), None, wanted, newest)
        return version, Problems([found], [])
    text = "kube_version %s is newer than %s, the newest release that this collection was tested with."
    return version, Problems([], [Finding("version.untested", text % (version, newest), None, version, newest)])


def _newer_patch(wanted: str, patch: int | None, known: str) -> list[Finding]:
    """Warn of a patch that is newer than the newest known one: it may not exist."""
    if patch is None or patch <= (parse(known)[2] or 0):
        return []
    text = (
        "kube_version %s is newer than %s, the newest patch that this collection knows. Make sure that it exists (%s)."
    )
    return [Finding("version.unknown_patch", text % (wanted, known, RELEASES_PAGE), None, wanted, known)]


def images_of(version: str) -> dict[str, str]:
    """Return the image tags of etcd, CoreDNS and pause of this version's kubeadm; of an unknown one the newest."""
    return KUBERNETES.get(minor(version)) or KUBERNETES[list(KUBERNETES)[-1]]


def _rank(text: str) -> tuple[Any, ...]:
    """Return what a full version is ordered by: a pre-release comes before its release (https://semver.org/)."""
    major, minor_number, patch = parse(text)
    found = _PRERELEASE.match(_VERSION.sub(r"\4", str(text).strip()))
    words = found.group(1).split(".") if found else []
    pre = tuple((0, int(word), "") if word.isdigit() else (1, 0, word) for word in words)
    return (major, minor_number, patch or 0, not words, pre)


def satisfies(version: str, requirement: str) -> bool:
    """Return True if a version meets every clause of a requirement such as ">=1.34, <1.38, !=1.36.0".

    A clause without an operator is "==". A clause that names no patch is about the minor release: "1.36" is met by
    every 1.36.x, ">1.36" by 1.37.0 and not by 1.36.9. What follows a plus (v1.36.3+k3s1) does not count. Raise
    ValueError for another form.
    """
    clauses = [clause.strip() for clause in str(requirement).split(",") if clause.strip()]
    if not clauses:
        raise ValueError("%r is not a requirement: write it as 1.36 or >=1.34,<1.38" % (requirement,))
    return all(_meets(version, clause) for clause in clauses)


def _meets(version: str, clause: str) -> bool:
    found = _CLAUSE.match(clause)
    if not found:
        raise ValueError("%r is not a requirement: write it as 1.36 or >=1.34,<1.38" % (clause,))
    operator, wanted = found.group(1) or "==", found.group(2)
    if parse(wanted)[2] is None:
        mine, limit = _minor_rank(version), _minor_rank(wanted)
    else:
        mine, limit = _rank(version), _rank(wanted)
    return _TESTS[operator]((mine > limit) - (mine < limit))


def _minor_rank(text: str) -> tuple[Any, ...]:
    return parse(text)[:2]


def upgrade_path(running: str, wanted: str) -> list[str]:
    """Return the versions to install one after another from a running one to a wanted one, the last being the wanted.

    kubeadm goes from one minor release to the next and skips none (SKEW_PAGE); between them the newest known patch is
    taken, or patch 0 of a release that is not known. wanted without a patch is the newest known one. Nothing where it
    runs already. Raises ValueError.
    """
    major, minor_number, patch = parse(running)
    if patch is None:
        raise ValueError("%r is not a full version: write it as 1.36.3" % (running,))
    target = wanted if parse(wanted)[2] is not None else _newest(*parse(wanted)[:2], running=running)
    if parse(target)[0] != major:
        raise ValueError("%s to %s: major releases have no path between them" % (running, wanted))
    if _rank(target) < _rank(running):
        raise ValueError(
            "%s is older than %s: Kubernetes is not downgraded; restore a backup of the older cluster instead (%s)"
            % (wanted, running, SKEW_PAGE)
        )
    steps = [_newest(major, step) for step in range(minor_number + 1, parse(target)[1])]
    return steps + ([target.lstrip("v")] if _rank(target) != _rank(running) else [])


def _newest(major: int, minor_number: int, running: str = "") -> str:
    """Return the newest known patch of a release, or the running one if that is newer."""
    release = "%d.%d" % (major, minor_number)
    known = KUBERNETES.get(release, {}).get("patch", release + ".0")
    return running.lstrip("v") if running and minor(running) == release and _rank(running) > _rank(known) else known
