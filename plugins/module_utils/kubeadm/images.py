# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The images that a node pulls before kubeadm runs. Standard library only."""

from __future__ import annotations

import json
import os
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from ..node import paths
from .runner import KubeadmError, Runner

CRICTL = paths.PROGRAMS + "/crictl"


def missing(runner: Runner, names: list[str]) -> list[str] | None:
    """Return the images that the runtime does not have, None if it does not say what it has.

    Without crictl, which comes with the runtime, the node is new and has none.
    """
    if not os.path.exists(runner.root + CRICTL):
        return list(names)
    listed = runner.run([CRICTL, "images", "-o", "json"], 30)
    try:
        images: list[dict[str, Any]] = json.loads(listed.out).get("images") or []
    except ValueError:
        return None
    tags = {tag for image in images for tag in image.get("repoTags") or []}
    return [name for name in names if name not in tags] if listed.rc == 0 else None


def pull(runner: Runner, names: list[str], timeout: float) -> list[str]:
    """Pull the missing images, two at a time, and return their names. Raise KubeadmError with all that failed."""
    known = missing(runner, names)
    wanted = names if known is None else known

    def one(name: str) -> str:
        done = runner.run([CRICTL, "--timeout", "%ds" % timeout, "pull", name], timeout)
        return "%s: %s" % (name, done.complaint(1)[:300]) if done.rc else ""

    with ThreadPoolExecutor(2) as pool:
        failed = [text for text in pool.map(one, wanted) if text]
    if failed:
        raise KubeadmError("images could not be pulled: " + "; ".join(failed))
    return wanted
