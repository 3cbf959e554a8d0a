# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Restore a kubeadm cluster on one control plane, from the parts of an archive. Standard library only.

The other control planes join it again, each with an empty etcd. https://etcd.io/docs/v3.6/op-guide/recovery/
"""

from __future__ import annotations

import contextlib
import glob
import os
import re
import shutil
import time
from typing import Any, Dict, List, Optional

from ..api import drain, etcd, lock, tls
from ..api.kubernetes import Api, ApiError
from ..backup import scratch, snapshot
from ..backup.make import SNAPSHOT
from ..base.text_files import read_text
from ..kubeadm import images
from ..kubeadm.runner import new_token
from ..node import paths
from ..reset import removal
from .aside import PLACED, STOPPED, Aside, Row
from .parts import BUILT, Manifest, Parts, differing, raised_by
from .stop import ControlPlane, RestoreError, not_counted, refuse_without_space

# kubeadm would replace the addons' objects, and the restored ones are those that count.
SKIPPED = "show-join-command,addon/coredns,addon/kube-proxy"
PROXY = "/api/v1/namespaces/kube-system/configmaps/kube-proxy"
SPACE_MORE = 200 << 20


class First(ControlPlane):
    """The control plane that is restored from the archive. parts: of the archive. manifest: what is in it."""

    def __init__(self, name: str, parts: Parts, manifest: Manifest, root: str = "", runner: Any = None) -> None:
        super().__init__(name, root, runner)
        self.parts, self.manifest = parts, manifest
        self.data = root + paths.ETCD_DATA
        self.built = root + BUILT + parts.archive

    # -- while the former control plane still runs ----------------------------------------------------------------

    def prepare(self, address: str, config: str, at: str, timeout: float) -> None:
        """Do what can fail before anything is stopped: check the parts, and make etcd's data beside the former ones,
        with the tools of the etcd that will serve them."""
        self.parts.check()
        if self.journal.read().get("step") == PLACED:
            return
        refuse_without_space(self.data, self.parts.rows[SNAPSHOT]["size"] + SPACE_MORE)
        image = self._image(config)
        images.pull(self.runner, [image], timeout)
        for left in glob.glob(glob.escape(self.root + BUILT) + "*"):
            shutil.rmtree(left, ignore_errors=True)
        os.makedirs(self.data, mode=0o700, exist_ok=True)
        url = "https://%s:%d" % ("[%s]" % address if ":" in address else address, paths.ETCD_PEER_PORT)
        options = ["--name", self.name, "--initial-cluster", "%s=%s" % (self.name, url)]
        options += ["--initial-advertise-peer-urls", url]
        # Members of the former cluster cannot take this one for theirs.
        options += ["--initial-cluster-token", "kubewright-%s-%s" % (self.parts.archive, at)]
        options += ["--bump-revision", str(raised_by(self.manifest, at)), "--mark-compacted"]
        with scratch.tools(image, self.parts.place) as tools:
            tools.restore(self.parts.path(SNAPSHOT), self.built, options)

    def _image(self, config: str) -> str:
        """Return etcd's image as kubeadm will write it into the static pod."""
        with self.runner.config_file(config.replace("@token@", new_token())) as path:
            listed = self.runner.kubeadm(["config", "images", "list", "--config", path], 60).split()
        found = [name for name in listed if re.search(r"/etcd[:@]", name)]
        if not found:
            raise RestoreError("kubeadm names no image of etcd. Correct etcd.local in kubeadm_cluster_config.")
        return found[0]

    # -- after all control planes were stopped ---------------------------------------------------------------------

    def start(self, config: str, keep: List[str], replaced: List[str], timeout: float) -> Dict[str, Any]:
        """Put keys and data in place and start the control plane. Return {seconds, counts, wrong, deleted}.

        keep: names of the inventory's nodes, other Nodes are deleted. replaced: those of them that are other machines
        now. counts: restored objects by kind. wrong: kinds that differ from the manifest. Raise RestoreError or
        ApiError.
        """
        row = self.journal.read()
        if row.get("archive") != self.parts.archive or row.get("step") not in (STOPPED, PLACED):
            raise RestoreError("the control plane was not stopped for this restore. Run restore again.")
        began = time.monotonic()
        if row["step"] == STOPPED:
            self._place(row)
        self._initialise(config, timeout)
        seconds = round(time.monotonic() - began, 1)
        counts = self._counts(raised_by(self.manifest, row["at"]))
        wrong = differing(self.manifest["datastore"]["counts"], counts)
        api = removal.api()
        # By objects that are not those of the archive nobody is deleted.
        deleted = [] if wrong else self._forget(api, keep, replaced)
        self._point_proxy(api)
        self.journal.end()  # what is left is site's
        self.parts.remove()
        return {"seconds": seconds, "counts": counts or {}, "wrong": wrong, "deleted": deleted}

    def _place(self, row: Row) -> None:
        """Put the archive's keys and files in place, and etcd's data last. Safe to repeat."""
        self.parts.check()
        if not os.path.isdir(self.built + "/member") and not os.path.isdir(self.data + "/member"):
            raise RestoreError("etcd's data were not prepared. Run restore again.")
        target = self.runner.kubernetes + "/pki"
        shutil.rmtree(target, ignore_errors=True)  # the former one was put aside
        for name in self.parts.under("pki/"):
            place = self.root + self.parts.rows[name]["path"]
            os.makedirs(os.path.dirname(place), mode=0o755, exist_ok=True)
            self.parts.put(name, place)
        aside = Aside(row, self.root)
        for name in self.parts.under("files/"):
            each = self.parts.rows[name]
            owner = (int(each["mode"], 8), each["owner"], each["group"])
            aside.put_file(each["path"], self.parts.content(name), *owner, self.journal)
        if os.path.isdir(self.built + "/member"):
            os.rename(self.built + "/member", self.data + "/member")
        shutil.rmtree(self.built, ignore_errors=True)
        row["step"] = PLACED
        self.journal.write(row)

    def _initialise(self, config: str, timeout: float) -> None:
        """Let kubeadm write certificates, kubeconfigs and static pods, start the kubelet, and wait until they serve."""
        runner = self.runner
        with runner.lock(timeout), runner.config_file(config.replace("@token@", new_token())) as path:
            flags = ["--skip-token-print", "--skip-phases=" + SKIPPED, *runner.ignored_preflight()]
            runner.kubeadm(["init", "--config", path, *flags], timeout)
            # kubeadm has noted the addons that were left out as disabled.
            admin = ["--kubeconfig", runner.kubernetes + "/admin.conf"]
            runner.kubeadm(["init", "phase", "upload-config", "kubeadm", "--config", path, *admin], timeout)
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self.root + paths.SUPER_ADMIN)

    def _counts(self, raised: int) -> Optional[Dict[str, int]]:
        """Return the restored objects by kind, without what was written since; None if etcd has dropped that revision.

        raised: by how much the archive's revisions were raised. Raise RestoreError.
        """
        at = int(self.manifest["datastore"]["revision"]) + raised
        try:
            return snapshot.counts_at(lambda: etcd.local(self.runner.kubernetes, timeout=60), at)
        except tls.NO_ANSWER as error:
            raise not_counted(error) from error

    def _forget(self, api: Api, keep: List[str], replaced: List[str]) -> List[str]:
        """Delete the Nodes of machines that are not nodes any more. Return their names.

        The static pods of control planes that join later are those of the past: kubeadm would look for their etcd.
        """
        api.delete(lock.PATH)  # of a run that changed the cluster while it was saved
        known = api.get("/api/v1/nodes")["items"] or []
        gone = [_name(item) for item in known if _name(item) not in keep or _name(item) in replaced]
        for name in gone:
            removal.forget(api, name, lambda _text: True)
        for item in known:
            is_control_plane = removal.CONTROL_PLANE in (item["metadata"].get("labels") or {})
            if is_control_plane and _name(item) not in (*gone, self.name):
                drain.forget_static_pods(api, _name(item))
        return gone

    def _point_proxy(self, api: Api) -> None:
        """Write the API endpoint into kube-proxy's kubeconfig, if it is another one than the archive has."""
        stored = self.parts.content("kubeadm/kubeadm-config.yaml").decode("utf-8", "replace")
        former = re.search(r"^controlPlaneEndpoint:\s*[\"']?([^\s\"']+)", stored, re.M)
        server = re.search(r"^\s*server:\s*(\S+)", read_text(self.runner.kubernetes + "/admin.conf"), re.M)
        item = api.get(PROXY, missing_ok=True)
        text = ((item or {}).get("data") or {}).get("kubeconfig.conf") or ""
        if not former or not server:
            return
        written = re.sub(r"https://%s(?=\s|$)" % re.escape(former.group(1)), server.group(1), text)
        if written != text:
            item["data"]["kubeconfig.conf"] = written
            status, answer = api.ask("PUT", PROXY, item)
            if status >= 300:
                raise ApiError("the address of the API is not written for kube-proxy: %s" % answer[:200], status)


def _name(item: Dict[str, Any]) -> str:
    return str(item["metadata"]["name"])
