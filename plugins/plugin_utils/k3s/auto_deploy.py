# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The user's files in K3s's auto-deploy folder: manifests, Helm charts, values of charts that K3s brings along.

https://docs.k3s.io/installation/packaged-components#auto-deploying-manifests-addons, https://docs.k3s.io/add-ons/helm. K3s looks at the
folder every 15 seconds and needs no restart; what becomes of a dropped file's objects is in module_utils/k3s/addons.py.
"""

from __future__ import annotations

import hashlib
import os
import re
from functools import lru_cache

import yaml

from ..base.yaml_documents import dump, plain

PAGE = "https://docs.k3s.io/add-ons/helm"
FOLDER = "%s/server/manifests/"
OURS = "kubewright-"
INPUTS = {"k3s_manifests": OURS, "k3s_helm_charts": OURS + "chart-", "k3s_helm_configs": OURS + "config-"}
# Variables with the folders in which a file of the user's may be.
BESIDE = ("playbook_dir", "inventory_dir")
HEADER = "# Made by kubewright.cluster.\n"
# A release's name has 53 characters at most (https://helm.sh/docs/chart_template_guide/getting_started/); an AddOn's is the file's up to
# the first dot (basename in pkg/deploy/controller.go).
NAME = re.compile(r"^[a-z0-9]([-a-z0-9]{0,51}[a-z0-9])?$")
# HelmCharts of K3s itself, in the same namespace as ours: https://github.com/k3s-io/k3s/tree/main/manifests/traefik.yaml
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


def present(values: dict, name: str) -> list:
    """The items of an input that are wanted."""
    return [item for item in values.get(name) or [] if item.get("state", "present") == "present"]


def texts(values: dict) -> dict:
    """{AddOn's name: text of its file} of all that the inputs want."""
    found = {}
    for name, prefix in INPUTS.items():
        for item in present(values, name):
            found[prefix + item["name"]] = _MAKERS[name](item)
    return found


def digests(values: dict) -> dict:
    """{AddOn's name: SHA-256 of its file}, which K3s keeps of what it applied."""
    return {name: hashlib.sha256(text.encode()).hexdigest() for name, text in texts(values).items()}


def files(values: dict, data_dir: str, info: dict, secret: bool) -> list:
    """A server's files in the folder: those with Secrets, or the others and those that are to go ({path, state, secret})."""
    folder = FOLDER % data_dir
    wanted = {folder + name + ".yaml": text for name, text in texts(values).items()}
    made = [
        {"path": path, "content": text, "mode": "0600"} for path, text in sorted(wanted.items()) if has_secret(text) == secret
    ]
    gone = [] if secret else [path for path in ours(info, data_dir) if path not in wanted]
    # What they hold is not known here: it may be a Secret, and is kept out of the diff.
    return made + [{"path": path, "state": "absent", "secret": True} for path in gone]


def ours(info: dict, data_dir: str) -> list:
    """Paths of the files that an earlier run put into a server's folder and that are there."""
    there, owned = info.get("files") or {}, (info.get("owned") or {}).get("files") or {}
    return sorted(path for path in owned if path.startswith((FOLDER % data_dir) + OURS) and there.get(path))


def left(nodes: dict, part: list) -> dict:
    """{server that --limit leaves out: names of AddOns whose files stay on it}: K3s there would make their objects anew.

    nodes: a plan's servers {host: {files}}. part: the hosts that take part.
    """
    found = {}
    for host, node in sorted(nodes.items()):
        names = [os.path.basename(entry["path"])[:-5] for entry in node["files"]["k3s"] if entry.get("state") == "absent"]
        if names and host not in part:
            found[host] = names
    return found


def chart(item: dict) -> str:
    """The file of a chart."""
    spec = {field: item[key] for key, field in FIELDS.items() if item.get(key) not in (None, "", {})}
    spec.update({field: {"name": item[key]} for key, field in REFERENCES.items() if item.get(key)})
    if item.get("values"):
        spec["valuesContent"] = dump(item["values"])
    if item.get("values_secrets"):
        spec["valuesSecrets"] = [_values_secret(entry) for entry in item["values_secrets"]]
    return _helm("HelmChart", item["name"], spec)


def _values_secret(entry):
    updates = {"ignoreUpdates": True} if entry.get("ignore_updates") else {}
    return {"name": entry["name"], "keys": entry["keys"], **updates}


def config(item: dict) -> str:
    """The file with values for a chart that K3s brings along."""
    return _helm("HelmChartConfig", item["name"], {"valuesContent": dump(item["values"] or {})})


def _helm(kind, name, spec):
    meta = {"name": name, "namespace": "kube-system"}
    return HEADER + dump({"apiVersion": "helm.cattle.io/v1", "kind": kind, "metadata": meta, "spec": spec})


_MAKERS = {"k3s_manifests": lambda item: item.get("content") or "", "k3s_helm_charts": chart, "k3s_helm_configs": config}


@lru_cache(maxsize=256)
def documents(text: str) -> tuple:
    """Return the documents of a manifest; raise ValueError if there is a mistake in it."""
    try:
        found = [plain(item) for item in yaml.load_all(str(text), Loader=_Loader) if item is not None]
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = " (line %d: %s)" % (mark.line + 1, getattr(error, "problem", "")) if mark else ""
        raise ValueError("is no YAML%s" % where) from None
    for number, item in enumerate(found, 1):
        parts = ("apiVersion", "kind") if isinstance(item, dict) and item.get("kind") == "List" else ("apiVersion", "kind", "metadata")
        lacking = [part for part in parts if not isinstance(item, dict) or not item.get(part)]
        if lacking:
            raise ValueError("is no manifest: its document %d has no %s" % (number, lacking[0]))
    if not found:
        raise ValueError("holds no object; drop it, or set its state to absent")
    return tuple(found)


class _Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):
    """YAML as Kubernetes has it: a value's = and a time are text."""


for _tag in ("tag:yaml.org,2002:value", "tag:yaml.org,2002:timestamp"):
    _Loader.add_constructor(_tag, lambda loader, node: loader.construct_scalar(node))


def has_secret(text: str) -> bool:
    """Whether a manifest holds a Secret. One that cannot be read is taken for one."""
    try:
        found = documents(text)
    except ValueError:
        return True
    inner = [entry for item in found for entry in (item.get("items") or [] if item.get("kind") == "List" else [item])]
    return any(isinstance(entry, dict) and entry.get("kind") == "Secret" for entry in inner)


def read(given: dict, folders: list) -> tuple:
    """(the inputs with the text of each manifest's src in its place, sentences on what cannot be read).

    given: a host's inputs as they came. folders: where a relative path may begin.
    """
    manifests = given.get("k3s_manifests")
    if not isinstance(manifests, (list, tuple)) or not all(isinstance(item, dict) for item in manifests):
        return given, []  # among the refusals by its type
    problems, made = [], []
    for item in manifests:
        item = dict(item)
        if item.get("src") and not item.get("content") and item.get("state", "present") == "present":
            try:
                item["content"] = _text(os.path.expanduser(str(item["src"])), folders)
                item.pop("src")
            except (OSError, UnicodeDecodeError) as error:
                why = getattr(error, "strerror", None) or "is no text"
                problems.append("k3s_manifests[%s]: %s: %s" % (item.get("name"), item["src"], why))
        made.append(item)
    return {**given, "k3s_manifests": made}, problems


def _text(path, folders):
    places = [path] if os.path.isabs(path) else [os.path.join(folder, path) for folder in folders]
    found = next((place for place in places if os.path.exists(place)), places[0] if places else path)
    with open(found, encoding="utf-8") as stream:
        return stream.read()


def problems(values: dict) -> list:
    """Sentences on the inputs that make these files."""
    found, seen = [], {}
    for name, prefix in INPUTS.items():
        for item in values[name]:
            here = "%s[%s]" % (name, item.get("name"))
            if not NAME.match(str(item.get("name") or "")):
                found.append("%s: %r is no name for it; use at most 53 lower-case letters, digits and dashes" % (here, item.get("name")))
            seen.setdefault(prefix + str(item.get("name")), []).append(here)
            if item.get("state", "present") == "present":
                found += _CHECKS[name](here, item)
    for addon, users in seen.items():
        if len(users) > 1:
            found.append("%s are one file, %s.yaml; rename one" % (" and ".join(users), addon))
    return found


def _manifest_problems(here, item):
    if bool(item.get("content")) == bool(item.get("src")):
        return ["%s needs either content or src" % here]
    try:
        documents(item.get("content") or "")
    except ValueError as error:
        # A file that cannot be read is refused by its path.
        return [] if item.get("src") else ["%s %s" % (here, error)]
    return []


def _chart_problems(here, item):
    if not item.get("chart") and not item.get("chart_content"):
        return ["%s names no chart; set chart, or chart_content (%s)" % (here, PAGE)]
    if item.get("chart") and item.get("chart_content"):
        return ["%s: set chart or chart_content, not both" % here]
    if item["name"] in PACKAGED:
        return ["%s: K3s brings a HelmChart of this name; give yours another, such as %s-own" % (here, item["name"])]
    return []


_CHECKS = {"k3s_manifests": _manifest_problems, "k3s_helm_charts": _chart_problems, "k3s_helm_configs": lambda _here, _item: []}
