# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the operation rotate needs of the controller, and what its tasks get."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from typing import Any

from ....module_utils.node import paths
from ...base import yaml_documents
from ...inputs import schema
from ...plan import slices
from .. import kubeconfig
from ..run_store import RunStore
from .lock_holder import holder
from .operation import Hosts, Run

# Keys of ClusterConfiguration that decide what a renewed certificate is like:
# https://kubernetes.io/docs/reference/config-api/kubeadm-config.v1beta4/#kubeadm-k8s-io-v1beta4-ClusterConfiguration
KEYS = ("encryptionAlgorithm", "certificateValidityPeriod")


def completed(
    name: str,
    options: dict[str, Any],
    plan: Mapping[str, Any],
    hosts: Hosts,
    run: Run,
) -> dict[str, Any]:
    """Return the options of the playbook with what the plan of rotate needs beside them; of others as they are.

    hosts: by inventory name {inputs}.
    """
    if name != "rotate":
        return options
    planes = [host for host in plan["control_planes"] if host in hosts]
    inputs = schema.validate(hosts[planes[0]]["inputs"])[0] if planes else {}
    wanted = {key: value for key, value in (inputs.get("kubeadm_cluster_config") or {}).items() if key in KEYS}
    head = {"apiVersion": "kubeadm.k8s.io/v1beta4", "kind": "ClusterConfiguration"}
    text = yaml_documents.dump({**head, **wanted}) if wanted else ""
    more = {"kubeadm_config": text, "kubeconfig": _existing(inputs, run.variables) if inputs else None}
    return {**options, **more, "part": run.part}


def _existing(inputs: Mapping[str, Any], variables: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return how the kubeconfig on the controller is written again with new credentials and otherwise as it is.

    For clusters whose plan has problems: the plan does not say then how the API is reached. None if it is not ours.
    """
    directory, wanted = variables.get("inventory_dir"), inputs["kube_kubeconfig"] or {}
    is_inventory = bool(directory) and directory in (variables.get("ansible_inventory_sources") or [])
    path = wanted.get("path") or slices.default_kubeconfig(directory, is_inventory)
    name = inputs["kube_cluster_name"]
    if not wanted.get("fetch", True) or not kubeconfig.is_ours(path, name):
        return None
    with open(os.path.expanduser(path), encoding="utf-8") as stream:
        server = re.search(r"^\s*server:\s*[\"']?([^\s\"']+)", stream.read(), re.M)
    if not server:
        return None
    made = {"path": path, "server": server.group(1), "cluster_name": name, "source": paths.ADMIN}
    return {**made, "fetch": True, "merge": bool(wanted.get("merge"))}


def keep(store: RunStore, made: dict[str, Any]) -> None:
    """Keep what the tasks of the playbook read.

    made: the operation's plan. What is only for the tasks is taken out of it: the plan shows the rest.
    """
    stages, private = made.pop("stages", None), made.pop("private", {})
    if stages is None:
        store.put("plan", "operation", made)
        return
    store.put("plan", "operation", {**made, **private, "holder": holder(made["name"])})
    store.put("plan", "stages", {} if made["refusals"] else stages)
    scope = store.get("plan", "verify")
    # Verified is what comes after the renewal.
    left = [row for row in scope["report"]["refusals"] if not row["id"].startswith("certificates.")]
    store.put("plan", "verify", {**scope, "report": {**scope["report"], "refusals": left}})
    file = store.get("plan", "kubeconfig") or private["kubeconfig_file"]
    if file and made["kubeconfig"]:
        # Also where the file has the credentials of another control plane: those are renewed too.
        store.put("plan", "kubeconfig", {**file, "fetch": True})
