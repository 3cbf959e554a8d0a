# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether the sources of programs and images have what an upgrade needs, asked before anything is changed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ...base.distribution import Problems
from ...base.findings import Finding
from ...plan import slices, steps
from .. import artifact_directory

SHOWN = 4  # so many are named in the text; all of them are the finding's value


def directories(
    plan: Mapping[str, Any], infos: Mapping[str, Any], inputs: Mapping[str, Any], beside: Mapping[str, Sequence[Any]]
) -> list[Finding]:
    """Return what directories on the controller do not have of the programs for the way.

    beside: those programs by host. What the node will have is compared by the plan.
    """
    needed: dict[str, dict[str, list[str]]] = {}
    for host, items in beside.items():
        source = slices.artifacts_from(inputs[host], plan["no_proxy"])
        missing = _to_fetch(items, infos[host])
        if source["from_controller"] and missing:
            needed.setdefault(source["source"], {})[host] = artifact_directory.paths(missing)
    return [finding for source, hosts in needed.items() for finding in artifact_directory.missing_in(source, hosts)]


def question(
    plan: Mapping[str, Any],
    infos: Mapping[str, Any],
    inputs: Mapping[str, Any],
    beside: Mapping[str, Sequence[Any]],
    images: Mapping[str, Sequence[str]],
) -> dict[str, Any]:
    """Return what a control plane is asked: the URLs of each source, and the images of all roles."""
    sources: dict[tuple[Any, ...], dict[str, Any]] = {}
    for host, node in plan["nodes"].items():
        source = slices.artifacts_from(inputs[host], plan["no_proxy"])
        if source.pop("from_controller"):
            continue
        items = _to_fetch([*node["programs"], *beside[host]], infos[host])
        urls = [item[key] for item in items for key in ("url", "checksum_url") if item.get(key)]
        key = (source["source"], source["proxy"], tuple(source["no_proxy"]))
        row = sources.setdefault(key, {**source, "urls": []})
        row["urls"] = sorted({*row["urls"], *urls})
    wanted = sorted({image for names in images.values() for image in names})
    return {"state": "offered", "sources": [row for row in sources.values() if row["urls"]], "images": wanted}


def _to_fetch(items: Sequence[Mapping[str, Any]], info: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    return [item for item in items if steps.wrong_programs([item], info)]


def findings(asked: str, answer: Mapping[str, Any]) -> Problems:
    """Return what is missing, all of it, and what could not be asked. asked: the control plane."""
    if answer.get("failed") or "files" not in answer:
        text = "%s: could not ask for programs and images (%s). The preparation does, before anything is changed."
        return Problems([], [Finding("upgrade.source_unknown", text % (asked, answer.get("msg")), asked)])
    refusals, silent = [], {**answer["files"]["silent"], **answer["images"]["silent"]}
    files, images = answer["files"]["missing"], answer["images"]["missing"]
    if files:
        text = "The source of programs does not have %s. Put them there, or change kube_artifacts."
        refusals.append(Finding("upgrade.file_missing", text % _shown(files), None, sorted(files)))
    if images:
        text = "No registry that %s pulls from has %s. Push them there, or change kube_registries."
        refusals.append(Finding("upgrade.image_missing", text % (asked, _shown(images)), asked, sorted(images)))
    warnings = []
    if silent:
        text = "%s: got no answer about %s (%s). If they are missing, the preparation ends the run before anything is "
        text += "changed."
        values = (asked, _shown(silent), next(iter(silent.values())))
        warnings.append(Finding("upgrade.source_unknown", text % values, asked, sorted(silent)))
    return Problems(refusals, warnings)


def _shown(found: Mapping[str, str]) -> str:
    names = sorted(found)
    more = " and %d more (see value in plan.json)" % (len(names) - SHOWN) if len(names) > SHOWN else ""
    return ", ".join(names[:SHOWN]) + more
