# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Kubernetes versions: reading, comparing, and what goes together."""

from __future__ import annotations

import re

from .catalog import COMPONENTS, DEFAULT_MINOR, KUBERNETES

_VERSION = re.compile(r"^v?([0-9]+)\.([0-9]+)(?:\.([0-9]+))?([-+].*)?$")


def parse(text: str) -> tuple:
    """(major, minor, patch or None) of "1.36", "v1.36.3" or "v1.36.3+k3s1". Raises ValueError with the text."""
    found = _VERSION.match(str(text).strip())
    if not found:
        raise ValueError("%r is no version: write it as 1.36 or 1.36.3" % (text,))
    major, minor, patch = found.groups()[:3]
    return int(major), int(minor), None if patch is None else int(patch)


def minor(text: str) -> str:
    """ "1.36" of "v1.36.3"."""
    return "%d.%d" % parse(text)[:2]


def choose(wanted: str, running: str = "") -> tuple:
    """The full version to install for an input, and what there is to say about it.

    wanted: the input, may be empty. running: the version of the cluster that is there, may be empty.
    Returns (version such as "1.36.3", warnings, refusals).
    """
    if not wanted:
        return (running.lstrip("v") or KUBERNETES[DEFAULT_MINOR]["patch"]), [], []
    try:
        major, minor_number, patch = parse(wanted)
    except ValueError as error:
        return KUBERNETES[DEFAULT_MINOR]["patch"], [], ["kube_version: %s" % error]
    release = "%d.%d" % (major, minor_number)
    version = (
        "%s.%d" % (release, patch) if patch is not None else KUBERNETES.get(release, KUBERNETES[DEFAULT_MINOR])["patch"]
    )
    if patch is None and running and minor(running) == release:
        version = running.lstrip("v")
    oldest, newest = list(KUBERNETES)[0], list(KUBERNETES)[-1]
    if (major, minor_number) < parse(oldest)[:2]:
        return (
            version,
            [],
            [
                "kube_version %s is older than %s, the oldest supported release; choose one from %s to %s"
                % (wanted, oldest, oldest, newest)
            ],
        )
    if (major, minor_number) > parse(newest)[:2]:
        if patch is None or minor_number > parse(newest)[1] + 1:
            return (
                version,
                [],
                [
                    "kube_version %s is not known; the newest known release is %s (name a full patch version to try the one after it)"
                    % (wanted, newest)
                ],
            )
        return (
            version,
            [
                "Kubernetes %s is newer than %s, the newest release that this collection was tried with"
                % (version, newest)
            ],
            [],
        )
    return version, [], []


def components(overrides: dict) -> dict:
    """Versions of containerd, runc, the CNI plugins and crictl, without a leading v."""
    return {name: str(overrides.get(name) or version).lstrip("v") for name, version in COMPONENTS.items()}


def images_of(version: str) -> dict:
    """etcd's, CoreDNS' and pause's image tags that the kubeadm of this version names; the newest known for others."""
    return KUBERNETES.get(minor(version)) or KUBERNETES[list(KUBERNETES)[-1]]
