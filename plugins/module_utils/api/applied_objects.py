# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The record by which a later run sees whether a manifest, or one of its objects, has changed. Standard library only.

It has a digest of each manifest's text, and for each object a digest of the fields that we own. The API server keeps
those fields with the object (managedFields): whoever gives one of them another value, or removes it, takes it out of
our entry. Changes of the status, and of what others set, leave that entry as it is.
https://kubernetes.io/docs/reference/using-api/server-side-apply/#field-management
The number of replicas that an autoscaler has set is the autoscaler's, as that page asks for (transferring ownership).

The record is a Secret, and the digests of texts are keyed with a random number in it. A manifest may hold a Secret with
a short password, which could be guessed from a plain digest, or from one whose key others can read.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import secrets
from typing import Any, Callable, Dict, Iterable, List, Optional, Set, Tuple
from urllib.parse import quote

from .owned_objects import MANAGER, Object, identity

SECRET = "kubewright-manifests"
# By the name of a manifest {digest, objects: {identity: {path, fields}}}.
Applied = Dict[str, Dict[str, Any]]
# As whom an autoscaler sets the number of replicas: the program with its controller. `kubectl scale` is another one.
SCALERS = (("kube-controller-manager", "scale"), ("k3s", "scale"))
AUTOSCALERS = "horizontalpodautoscalers.autoscaling"


def new_key() -> str:
    """Return the key for the digests of a cluster's manifests."""
    return secrets.token_hex(32)


def digest(key: str, sha256: str) -> str:
    """Return the digest of a manifest's text in the record. sha256: of the text, in hexadecimal."""
    return hmac.new(bytes.fromhex(key), sha256.encode(), hashlib.sha256).hexdigest()


def fields(item: Object) -> str:
    """Return a digest of the fields of an object that we own; "" if we own none."""
    own = _own(item)
    return _digest(item, own) if own else ""


def is_same(item: Object, known: str) -> bool:
    """Return True if we own the fields that we have applied, but the replicas that an autoscaler has set.

    known: their digest in the record.
    """
    if fields(item) == known:
        return True
    own = _own(item)
    if not own or not is_scaled(item):
        return False
    before = [{**entry, "f:spec": {**(entry.get("f:spec") or {}), "f:replicas": {}}} for entry in own]
    return _digest(item, before) == known


def is_scaled(item: Object) -> bool:
    """Return True if an autoscaler has set an object's number of replicas."""
    return any(
        (entry.get("manager"), entry.get("subresource")) in SCALERS
        and "f:replicas" in ((entry.get("fieldsV1") or {}).get("f:spec") or {})
        for entry in item["metadata"].get("managedFields") or []
    )


def scale_targets(autoscalers: Iterable[Object]) -> Set[Tuple[str, str, str]]:
    """Return (kind, namespace, name) of what autoscalers scale."""
    found = set()
    for item in autoscalers:
        target = (item.get("spec") or {}).get("scaleTargetRef") or {}
        found.add((target.get("kind") or "", item["metadata"].get("namespace") or "", target.get("name") or ""))
    return found


def has_replicas_of(item: Object, targets: Set[Tuple[str, str, str]]) -> bool:
    """Return True if an object of a manifest sets the number of replicas that an autoscaler is for."""
    meta = item["metadata"]
    key = (item["kind"], meta.get("namespace") or "", meta["name"])
    return key in targets and "replicas" in (item.get("spec") or {})


def _own(item: Object) -> List[Any]:
    entries = item["metadata"].get("managedFields") or []
    return [
        entry.get("fieldsV1")
        for entry in entries
        if (entry.get("manager"), entry.get("operation")) == (MANAGER, "Apply") and not entry.get("subresource")
    ]


def _digest(item: Object, own: List[Any]) -> str:
    # The server turns stringData into data, which is in nobody's entry then: any change of such a Secret counts.
    if any("f:stringData" in (entry or {}) for entry in own):
        own = [*own, item["metadata"].get("resourceVersion")]
    return hashlib.sha256(json.dumps(own, sort_keys=True).encode()).hexdigest()[:32]


def group_path(version: str) -> str:
    """Return the path of the API of an apiVersion: "/api/v1", "/apis/apps/v1"."""
    return ("/apis/" if "/" in version else "/api/") + version


def path(item: Object, listed: str) -> str:
    """Return the path of an object in the API, "" if it is unknown. listed: the server's list of the group's resources.

    https://kubernetes.io/docs/concepts/overview/kubernetes-api/#discovery-api
    """
    rows = json.loads(listed).get("resources") or []
    plural = next((row["name"] for row in rows if row.get("kind") == item["kind"] and "/" not in row["name"]), "")
    meta = item["metadata"]
    inside = "/namespaces/" + quote(meta["namespace"], safe="") if meta.get("namespace") else ""
    place = "%s%s/%s/%s" % (group_path(item["apiVersion"]), inside, plural, quote(meta["name"], safe=":"))
    return place if plural else ""


def secret(key: str, applied: Applied) -> Dict[str, Any]:
    """Return the Secret that keeps the record."""
    texts = {"key": key, "applied": json.dumps(applied, sort_keys=True)}
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": SECRET, "namespace": "kube-system"},
        "data": {name: base64.b64encode(text.encode()).decode() for name, text in texts.items()},
    }


def read(text: str) -> tuple[str, Applied]:
    """Return (key, record) in the Secret's JSON. Raise ValueError if it is damaged."""
    try:
        data = json.loads(text)["data"]
        key, applied = (base64.b64decode(data[name]).decode() for name in ("key", "applied"))
        digest(key, "")
        found: Applied = {
            str(name): {"digest": str(row["digest"]), "objects": dict(row["objects"])}
            for name, row in json.loads(applied).items()
        }
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ValueError("the Secret kube-system/%s is damaged (%s)" % (SECRET, type(error).__name__)) from None
    return key, found


def state(known: Dict[str, Any], status: int, text: str) -> Optional[str]:
    """Return whether an object is as we applied it: "same", "changed" or "deleted"; None if that is unknown.

    known: {path, fields} of the record. status, text: the API's answer to a request for the object's metadata.
    """
    try:
        answer = json.loads(text)
        if status == 404:
            # Without the kind the answer is about the path: a resource that this server does not have (yet).
            return "deleted" if (answer.get("details") or {}).get("name") else None
        return ("same" if is_same(answer, known["fields"]) else "changed") if status == 200 else None
    except (ValueError, KeyError, TypeError, AttributeError):
        return None


class Recorder:
    """Keeps the record while manifests are applied. kubectl: runs it, returns (status, output, errors)."""

    def __init__(self, kubectl: Callable[..., Tuple[int, str, str]]) -> None:
        self.kubectl, self.key = kubectl, ""
        self.known: Applied = {}
        self.new: Applied = {}
        self._lists: Dict[str, str] = {}

    def load(self) -> None:
        """Read the record. A damaged one is as good as none: then every manifest is compared and recorded again."""
        _status, output, _errors = self.kubectl(
            "-n", "kube-system", "get", "secret", SECRET, "--ignore-not-found", "-o", "json"
        )
        try:
            self.key, self.known = read(output)
        except ValueError:
            self.key, self.known = new_key(), {}

    def lost(self, name: str, items: List[Object]) -> bool:
        """Return True if we do not own all fields of a manifest's objects any more, even where the values are right."""
        known = (self.known.get(name) or {}).get("objects") or {}
        for item in items:
            # Of an object that is only named, as of a Namespace, nobody owns a field.
            before = known.get(identity(item))
            if not is_same(item, before["fields"]) if before else not fields(item):
                return True
        return False

    def add(self, name: str, content: str, items: List[Object]) -> None:
        """Record a manifest. items: its objects as they are in the cluster."""
        rows = {identity(item): {"path": self._path(item), "fields": fields(item)} for item in items}
        sha256 = hashlib.sha256(content.encode()).hexdigest()
        self.new[name] = {"digest": digest(self.key, sha256), "objects": rows}

    def _path(self, item: Object) -> str:
        where = group_path(item["apiVersion"])
        if where not in self._lists:
            status, output, _errors = self.kubectl("get", "--raw", where, may_fail=True)
            self._lists[where] = "{}" if status else output
        return path(item, self._lists[where])

    def save(self, kept: Iterable[str]) -> None:
        """Write the record if it differs. kept: manifests whose entries stay as they are."""
        self.new.update({name: self.known[name] for name in kept if name in self.known})
        if self.new != self.known:
            flags = ("--server-side", "--force-conflicts", "--field-manager=" + MANAGER)
            self.kubectl("apply", *flags, "-f", "-", text=json.dumps(secret(self.key, self.new)))
