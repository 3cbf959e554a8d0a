# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Renew the certificates of a control plane, and restart what reads them only when it starts. Standard library only.

kubeadm writes files, and needs no API for that. What is served afterwards is asked for over TLS.
https://kubernetes.io/docs/tasks/administer-cluster/kubeadm/kubeadm-certs/#manual-certificate-renewal
"""

from __future__ import annotations

import functools
import os
import re
import time
from typing import Any, Callable, Dict, List, Sequence

from ..api import certificates, etcd, kubernetes, tls
from ..api.certificates import READ_BY, Certificate
from ..base.text_files import read_text
from ..node import paths
from . import static_pods
from .runner import KubeadmError, Runner

# etcd first: the API server needs it when it starts. The last two find their API server again that way.
ORDER = ("etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler")
# terminationGracePeriodSeconds of a pod, which static pods have too.
GRACE_SECONDS = 30
POLL_SECONDS = 0.3


class Renewal:
    """The renewal on one control plane. name: of its Node. deadline: by time.monotonic()."""

    def __init__(self, runner: Runner, name: str, timeout: float) -> None:
        self.runner, self.name, self.timeout = runner, name, timeout
        self.deadline = time.monotonic() + timeout

    def renew(self, names: Sequence[str], config: str) -> None:
        """Make these certificates again, with the same names and addresses in them. Raise KubeadmError.

        config: the stored ClusterConfiguration. kubeadm takes the kind of key and the lifetime from it.
        """
        if not names:
            return
        former = {name: self._file(name) for name in names}
        with self.runner.lock(self.timeout), self.runner.config_file(documents(self.runner, self.name, config)) as path:
            everything = [name for name in certificates.AUTHORITIES if os.path.exists(self._path(name))]
            wanted = ["all"] if set(names) == set(everything) else list(names)
            for name in wanted:
                self.runner.kubeadm(["certs", "renew", name, "--config", path], 120)
        # It says of an authority without a key that it is external, and ends well.
        kept = [name for name, file in former.items() if file is not None and self._file(name) == file]
        if kept:
            raise KubeadmError("kubeadm certs renew did not renew %s on %s" % (", ".join(kept), self.name))

    def _path(self, name: str) -> str:
        return certificates.path_of(name, self.runner.root)

    def _file(self, name: str) -> Certificate | None:
        return certificates.read(self._path(name))

    def stop_all(self) -> None:
        """End all static pods. The kubelet starts them again, when it runs. Raise KubeadmError."""
        for kind in reversed(ORDER):
            static_pods.stop(self.runner, self.name, kind, GRACE_SECONDS)

    def restart(self, kinds: Sequence[str]) -> List[str]:
        """Restart static pods, one after the other. Return their names. Raise KubeadmError."""
        manifests = [kind for kind in ORDER if self.runner.has("manifests/%s.yaml" % kind)]
        done = [kind for kind in ORDER if kind in kinds and kind in manifests]
        for kind in done:
            former = static_pods.latest(self.runner, self.name).get(kind)
            if kind == "etcd":
                self._yield_leadership()
            static_pods.stop(self.runner, self.name, kind, GRACE_SECONDS)
            self.wait(functools.partial(self._runs, kind, former))
        return done

    def _runs(self, kind: str, former: static_pods.Container | None) -> str:
        """Return why a static pod does not serve in a new container yet."""
        now = static_pods.latest(self.runner, self.name).get(kind)
        if now is None or not now.running or former and now.key == former.key:
            return "the kubelet has not started %s again" % kind
        if kind == "etcd":
            return self._etcd_problem()
        return self.runner.api_problem() if kind == "kube-apiserver" else ""

    def _etcd_problem(self) -> str:
        try:
            member = etcd.local(self.runner.kubernetes)
            member.members()
            leader = int(member.own_status().get("leader") or 0)
        except tls.NO_ANSWER as error:
            return "its etcd does not answer: %s" % (error or type(error).__name__)
        return "" if leader else "its etcd member knows no leader"

    def _yield_leadership(self) -> None:
        """Make another member the leader, if this one is. etcd does so too when it stops, but tries only once."""
        try:
            client = etcd.local(self.runner.kubernetes)
            members = client.members()
            leader = str(client.own_status().get("leader") or 0)
            own = next((member for member in members if member.get("ID") == client.own_id), None)
            others = [one for one in members if one.get("ID") != client.own_id and not one.get("isLearner")]
            if own and leader == str(client.own_id) and others:
                client.move_leader({**own, "clientURLs": client.servers[:1]}, others[0])
        except tls.NO_ANSWER:
            return  # one that does not answer leads nobody

    def wait(self, problem_of: Callable[[], str]) -> None:
        """Ask until nothing is wrong. Raise KubeadmError with the last problem after the time."""
        while True:
            problem = problem_of()
            if not problem:
                return
            if time.monotonic() > self.deadline:
                raise KubeadmError("%s: %s within %d s" % (self.name, problem, self.timeout))
            time.sleep(POLL_SECONDS)

    def prove(self) -> List[Dict[str, Any]]:
        """Return what is served from which file. Raise KubeadmError if a static pod does not use the files.

        kube-controller-manager and kube-scheduler serve certificates that they make in memory; their kubeconfigs are
        read when they start.
        """
        self.wait(self._outdated)
        started = certificates.processes()
        rows = [row._asdict() for row in certificates.served(self.runner.root)]
        late = [kind for kind in READ_BY if self.runner.has("manifests/%s.yaml" % kind) and kind not in started]
        if late:
            raise KubeadmError("%s: %s does not run" % (self.name, ", ".join(late)))
        return [{key: row[key] for key in ("component", "name", "port", "serial")} for row in rows]

    def _outdated(self) -> str:
        found = certificates.outdated(self.runner.root)
        silent = [row.component for row in certificates.served(self.runner.root) if not row.serial]
        rows = ["%s %s" % item for item in sorted(found.items())] + ["%s does not answer" % one for one in silent]
        return "; ".join(rows)


def documents(runner: Runner, name: str, config: str) -> str:
    """Return kubeadm's configuration of this control plane. config: the cluster's, "" if it is unknown.

    Without the node's address kubeadm looks for a default route, without a version it asks the internet.
    """
    config = config.strip() or "apiVersion: kubeadm.k8s.io/v1beta4\nkind: ClusterConfiguration"
    if not re.search(r"^kubernetesVersion:", config, re.M):
        image = re.search(r"image:\s*\S*kube-apiserver:(v[0-9.]+)", read_text(runner.root + paths.API_SERVER_MANIFEST))
        config += "\nkubernetesVersion: %s" % image.group(1) if image else ""
    version = re.search(r"^apiVersion:\s*(\S+)", config, re.M)
    lines = [
        "apiVersion: %s" % (version.group(1) if version else "kubeadm.k8s.io/v1beta4"),
        "kind: InitConfiguration",
        "localAPIEndpoint: {advertiseAddress: '%s', bindPort: %d}"
        % (kubernetes.local_server(runner.root + paths.API_SERVER_MANIFEST) or ("127.0.0.1", paths.API_PORT)),
        "nodeRegistration: {name: '%s', criSocket: 'unix://%s'}" % (name, paths.CONTAINERD_SOCKET),
    ]
    return "\n".join(lines) + "\n---\n" + config + "\n"


def affected(names: Sequence[str]) -> List[str]:
    """Return the static pods that read these certificates."""
    return [kind for kind in ORDER if set(READ_BY[kind]) & set(names)]
