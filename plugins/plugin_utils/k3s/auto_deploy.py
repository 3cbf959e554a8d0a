# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The user's files in K3s's auto-deploy folder: manifests, Helm charts, and values for the charts that K3s packages.

https://docs.k3s.io/installation/packaged-components#auto-deploying-manifests-addons, https://docs.k3s.io/add-ons/helm.
K3s reads the folder every 15 seconds and needs no restart. module_utils/k3s/addons.py deletes the objects of a file
that was removed.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Any

import yaml

from ...module_utils.base.masking import masked
from ..base.distribution import File, Inputs
from ..base.findings import Finding
from ..base.yaml_documents import KubernetesLoader, dump, plain
from ..inputs import manifest_forms

PAGE = "https://docs.k3s.io/add-ons/helm"
FOLDER = "%s/server/manifests/"
OURS = "kubewright-"
INPUTS = {"k3s_manifests": OURS, "k3s_helm_charts": OURS + "chart-", "k3s_helm_configs": OURS + "config-"}
# Variables with the folders that a relative path of the user may start from.
BESIDE = ("playbook_dir", "inventory_dir")
HEADER = "# Made by kubewright.cluster.\n"
# The name of a Helm release has at most 53 characters (https://helm.sh/docs/chart_template_guide/getting_started/). The
# name of an AddOn is the file's, up to the first dot (basename in pkg/deploy/controller.go).
NAME = re.compile(r"[a-z0-9]([-a-z0-9]{0,51}[a-z0-9])?")
# HelmCharts of K3s itself, in the same namespace as ours:
# https://github.com/k3s-io/k3s/tree/main/manifests/traefik.yaml
PACKAGED = ("traefik", "traefik-crd")
# Key of k3s_helm_charts -> field of HelmChart (PAGE). References are by name.
FIELDS = {
    "chart": "chart",
    "chart_content": "chartContent",
    "repo": "repo",
    "repo_ca": "repoCA",
    "version": "version",
    "namespace": "targetNamespace",
    "create_namespace": "createNamespace",
    "bootstrap": "bootstrap",
    "timeout": "timeout",
    "failure_policy": "failurePolicy",
    "backoff_limit": "backOffLimit",
    "job_image": "jobImage",
    "auth_pass_credentials": "authPassCredentials",
    "plain_http": "plainHTTP",
    "insecure_skip_tls_verify": "insecureSkipTLSVerify",
    "set": "set",
}
REFERENCES = {
    "repo_ca_config_map": "repoCAConfigMap",
    "auth_secret": "authSecret",
    "docker_registry_secret": "dockerRegistrySecret",
}


def present(values: Inputs, name: str) -> list[dict[str, Any]]:
    """Return the items of an input whose state is present."""
    return [item for item in values.get(name) or [] if item.get("state", "present") == "present"]


def texts(values: Inputs) -> dict[str, str]:
    """Return the wanted files: {name of the AddOn: text}."""
    found = {}
    for name, prefix in INPUTS.items():
        for item in present(values, name):
            found[prefix + item["name"]] = _MAKERS[name](item)
    return found


def digests(values: Inputs) -> dict[str, str]:
    """Return {name of the AddOn: SHA-256 of its file}, which K3s records for each file that it applied."""
    return {name: hashlib.sha256(text.encode()).hexdigest() for name, text in texts(values).items()}


def files(values: Inputs, data_dir: str, info: Mapping[str, Any], secret: bool) -> list[File]:
    """Return a server's files in the folder.

    secret: True for the files that contain Secrets; False for the others, and for those that will be removed
    ({path, state, secret}).
    """
    folder = FOLDER % data_dir
    wanted = {folder + name + ".yaml": text for name, text in texts(values).items()}
    found: list[File] = [
        {"path": path, "content": text, "mode": "0600"}
        for path, text in sorted(wanted.items())
        if has_secret(text) == secret
    ]
    if not secret and is_listed(values):
        # They may contain a Secret, so they are not shown in the diff.
        gone = [path for path in ours(info, data_dir) if path not in wanted]
        found += [{"path": path, "state": "absent", "secret": True} for path in gone]
    return found


def is_listed(values: Inputs) -> bool:
    """Return True if an input lists a file, be it an absent one.

    That no file is listed at all may be a variable that was not read, so it removes nothing; as for kube_manifests.
    """
    return any(values.get(name) for name in INPUTS)


def kept(values: Inputs, infos: Iterable[Mapping[str, Any]], data_dir: str) -> list[str]:
    """Return the names of the files of earlier runs that stay on servers with these facts, though none is listed."""
    if is_listed(values):
        return []
    return sorted({os.path.basename(path)[: -len(".yaml")] for info in infos for path in ours(info, data_dir)})


def not_listed(names: Sequence[str]) -> list[Finding]:
    """Warn of files that stay though no file is listed. names: of their AddOns."""
    text = (
        "%s are empty. The files of earlier runs and their objects are kept (%s). To delete them, list each of "
        "these with state: absent."
    )
    inputs = "%s, %s and %s" % tuple(INPUTS)
    return [Finding("auto_deploy.kept", text % (inputs, ", ".join(names)), value=list(names))] if names else []


def ours(info: Mapping[str, Any], data_dir: str) -> list[str]:
    """Return the paths of the files that earlier runs wrote into a server's folder and that still exist."""
    existing, owned = info.get("files") or {}, (info.get("owned") or {}).get("files") or {}
    return sorted(path for path in owned if path.startswith((FOLDER % data_dir) + OURS) and existing.get(path))


def left(nodes: Mapping[str, Mapping[str, Any]], part: Collection[str]) -> dict[str, list[str]]:
    """Return {server outside of this run: names of AddOns whose files stay on it}.

    K3s on such a server would create their objects again. nodes: a plan's servers {host: {files}}. part: the hosts of
    this run.
    """
    found: dict[str, list[str]] = {}
    for host, node in sorted(nodes.items()):
        gone = [entry["path"] for entry in node["files"]["k3s"] if entry.get("state") == "absent"]
        names = [os.path.basename(path)[:-5] for path in gone]
        if names and host not in part:
            found[host] = names
    return found


def chart(item: Mapping[str, Any]) -> str:
    """Return the file of a chart."""
    spec: dict[str, Any] = {field: item[key] for key, field in FIELDS.items() if item.get(key) not in (None, "", {})}
    spec.update({field: {"name": item[key]} for key, field in REFERENCES.items() if item.get(key)})
    if item.get("values"):
        spec["valuesContent"] = dump(item["values"])
    if item.get("values_secrets"):
        spec["valuesSecrets"] = [_values_secret(entry) for entry in item["values_secrets"]]
    return _helm("HelmChart", item["name"], spec)


def _values_secret(entry: Mapping[str, Any]) -> dict[str, Any]:
    updates = {"ignoreUpdates": True} if entry.get("ignore_updates") else {}
    return {"name": entry["name"], "keys": entry["keys"], **updates}


def config(item: Mapping[str, Any]) -> str:
    """Return the file with values for a chart that K3s packages."""
    return _helm("HelmChartConfig", item["name"], {"valuesContent": dump(item["values"] or {})})


def _helm(kind: str, name: str, spec: dict[str, Any]) -> str:
    meta = {"name": name, "namespace": "kube-system"}
    return HEADER + str(dump({"apiVersion": "helm.cattle.io/v1", "kind": kind, "metadata": meta, "spec": spec}))


def _manifest(item: Mapping[str, Any]) -> str:
    return item.get("content") or ""


_MAKERS = {"k3s_manifests": _manifest, "k3s_helm_charts": chart, "k3s_helm_configs": config}


@lru_cache(maxsize=256)
def documents(text: str) -> tuple[Any, ...]:
    """Return the documents of a manifest; raise ValueError with what is wrong with it, without any of its values."""
    try:
        found = [plain(item) for item in yaml.load_all(str(text), Loader=KubernetesLoader) if item is not None]
    except yaml.YAMLError as error:
        # Without the parser's own message: it quotes the text, which may be a Secret's.
        mark = getattr(error, "problem_mark", None)
        where = " at line %d" % (mark.line + 1) if mark else ""
        raise ValueError("the content is not valid YAML%s" % where) from None
    except RecursionError:
        raise ValueError("a document of the content refers to itself. Remove the alias") from None
    for number, item in enumerate(found, 1):
        is_list = isinstance(item, dict) and item.get("kind") == "List"
        parts = ("apiVersion", "kind") if is_list else ("apiVersion", "kind", "metadata")
        missing = [part for part in parts if not isinstance(item, dict) or not item.get(part)]
        if missing:
            raise ValueError("%s is missing in document %d of the content" % (missing[0], number))
    if not found:
        raise ValueError("the content has no object. Remove the item, or set its state to absent")
    return tuple(found)


def has_secret(text: str) -> bool:
    """Return True if a manifest contains a Secret, anything that would be masked, or if it cannot be read."""
    try:
        found = documents(text)
    except ValueError:
        return True
    return any(map(_is_secret, found)) or masked(text) != text


def _is_secret(item: Any) -> bool:
    """Return True if an object is a Secret or a list that contains one, in whatever depth."""
    if not isinstance(item, dict):
        return False
    items = item.get("items")
    return item.get("kind") in ("Secret", "SecretList") or isinstance(items, list) and any(map(_is_secret, items))


def read(given: Mapping[str, Any], folders: Sequence[str]) -> tuple[dict[str, Any], list[Finding]]:
    """Return the inputs with the text of each manifest instead of its src, and refusals of files that cannot be read.

    given: a host's inputs, not validated yet. folders: where a relative path may start.
    """
    manifests = given.get("k3s_manifests")
    if not isinstance(manifests, (list, tuple)) or not all(isinstance(item, dict) for item in manifests):
        return dict(given), []  # refused by its type later
    found, items = [], []
    for manifest in manifests:
        item = dict(manifest)
        if item.get("src") and not item.get("content") and item.get("state", "present") == "present":
            path = _find(os.path.expanduser(str(item["src"])), folders)
            try:
                with open(path, encoding="utf-8") as stream:
                    item["content"] = stream.read()
                item.pop("src")
            except (OSError, UnicodeDecodeError) as error:
                why = getattr(error, "strerror", None) or "it is not text in UTF-8"
                text = "k3s_manifests[%s]: %s cannot be read: %s." % (item.get("name"), item["src"], why)
                found.append(Finding("k3s_manifest.unreadable", text, value=str(item["src"])))
        items.append(item)
    return {**given, "k3s_manifests": items}, found


def _find(path: str, folders: Sequence[str]) -> str:
    """Return the path in the first folder that has it; in the first folder if none has."""
    paths = [path] if os.path.isabs(path) else [os.path.join(folder, path) for folder in folders]
    return next((candidate for candidate in paths if os.path.exists(candidate)), paths[0] if paths else path)


def problems(values: Inputs) -> list[Finding]:
    """Check the inputs that make these files."""
    found: list[Finding] = []
    users: dict[str, list[str]] = {}
    for name, prefix in INPUTS.items():
        for item in values[name]:
            own = str(item.get("name") or "")
            here = "%s[%s]" % (name, own)
            if not NAME.fullmatch(own):
                text = "%s: expected a name of at most 53 lower-case letters, digits and dashes, got %r." % (here, own)
                found.append(Finding("auto_deploy.name", text, value=own))
            users.setdefault(prefix + own, []).append(here)
            if item.get("state", "present") == "present":
                found += _CHECKS[name](here, item)
    for addon, items in users.items():
        if len(items) > 1:
            text = "%s would all be the file %s.yaml. Rename all but one." % (", ".join(items), addon)
            found.append(Finding("auto_deploy.same_file", text, value=items, limit=addon + ".yaml"))
    return found


def _check_manifest(here: str, item: Mapping[str, Any]) -> list[Finding]:
    if bool(item.get("content")) == bool(item.get("src")):
        text = "%s needs either content or src, and has %s." % (here, "both" if item.get("src") else "neither")
        return [Finding("k3s_manifest.content_or_src", text, value=item.get("name"))]
    if item.get("src"):
        return []  # read() refused it
    try:
        found = documents(item["content"])
    except ValueError as error:
        return [Finding("k3s_manifest.invalid", "%s: %s." % (here, error), value=item.get("name"))]
    # K3s would only log what the API refuses.
    wrong = next(filter(None, map(manifest_forms.document, found)), None)
    text = "%s: %s; %s." % (here, *wrong) if wrong else ""
    return [Finding("k3s_manifest.invalid", text, value=item.get("name"))] if wrong else []


def _check_chart(here: str, item: Mapping[str, Any]) -> list[Finding]:
    name = item.get("name")
    if not item.get("chart") and not item.get("chart_content"):
        text = "%s needs chart or chart_content (%s)." % (here, PAGE)
        return [Finding("helm_chart.no_chart", text, value=name)]
    if item.get("chart") and item.get("chart_content"):
        text = "%s has both chart and chart_content. Remove one of them." % here
        return [Finding("helm_chart.two_charts", text, value=name)]
    if item.get("repo_ca") and item.get("repo_ca_config_map"):
        text = "%s has both repo_ca and repo_ca_config_map. Remove one of them." % here
        return [Finding("helm_chart.two_authorities", text, value=name)]
    nested = sorted(
        str(key) for key, value in (item.get("set") or {}).items() if not isinstance(value, (str, int, float))
    )
    if nested:
        text = "%s.set: %s: expected text or a number. Put maps and lists into values." % (here, ", ".join(nested))
        return [Finding("helm_chart.set_value", text, value=name, limit=nested)]
    if name in PACKAGED:
        text = "%s: K3s has a HelmChart of this name already. Rename yours, for example to %s-own." % (here, name)
        return [Finding("helm_chart.packaged_name", text, value=name, limit=list(PACKAGED))]
    return []


def _check_config(_here: str, _item: Mapping[str, Any]) -> list[Finding]:
    return []


_CHECKS = {"k3s_manifests": _check_manifest, "k3s_helm_charts": _check_chart, "k3s_helm_configs": _check_config}
