# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run kubeadm on a node: init, credentials, and waiting for its API server. Standard library only.

Each step is safe to repeat: finished steps are recognised by the files and objects that kubeadm made, and half-done
ones are resumed by the same command, without the phases and preflight checks that would fail.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import string
import time
from concurrent.futures import ThreadPoolExecutor
from typing import IO, Callable, Iterator

from ..api import etcd, kubernetes
from ..api.kubernetes import Api, ApiError
from ..api.tls import MemoryFile
from ..base import commands
from ..base.commands import Result
from ..base.masking import masked_message
from ..base.text_files import read_text
from ..node import paths
from ..node.ownership import lock_node

STATIC_PODS = ("kube-apiserver", "kube-controller-manager", "kube-scheduler", "etcd")
# Preflight errors about what an interrupted run leaves behind.
LEFTOVERS = [
    "DirAvailable--etc-kubernetes-manifests",
    "DirAvailable--var-lib-etcd",
    *("FileAvailable--etc-kubernetes-manifests-%s.yaml" % name for name in STATIC_PODS),
    *("FileAvailable--etc-kubernetes-%s" % name for name in ("kubelet.conf", "bootstrap-kubelet.conf", "pki-ca.crt")),
    *(
        "Port-%d" % port
        for port in (
            paths.API_PORT,
            paths.SCHEDULER_PORT,
            paths.CONTROLLER_MANAGER_PORT,
            paths.KUBELET_PORT,
            paths.ETCD_PORT,
            paths.ETCD_PEER_PORT,
        )
    ),
]
# kubeadm is started with the lock file open: a kubeadm that a killed run left behind keeps the lock. It does not get the
# host's environment: with HTTP_PROXY it would ask the API through the proxy, and write the proxy into the static pods
# (cmd/kubeadm/app/util/env.go, GetProxyEnvVars).
ENVIRONMENT = {"KUBECONFIG": ""}
# What kubeadm init makes last, as paths below /api and /apis.
LAST_MADE = (
    "/api/v1/namespaces/kube-system/configmaps/kubeadm-config",
    "/api/v1/namespaces/kube-system/configmaps/kubelet-config",
    "/apis/apps/v1/namespaces/kube-system/deployments/coredns",
    "/apis/apps/v1/namespaces/kube-system/daemonsets/kube-proxy",
)


class KubeadmError(Exception):
    """kubeadm failed. The message has its output without secrets."""


class Runner:
    """kubeadm on this node. root and run are replaced by tests. program: the kubeadm to run, the installed one by
    default."""

    def __init__(
        self, root: str = "", run: Callable[..., Result] = commands.run, program: str = paths.PROGRAMS + "/kubeadm"
    ) -> None:
        self.root, self._run, self.program = root, run, program
        self.kubernetes = root + paths.KUBERNETES

    def run(self, argv: list[str], timeout: float) -> Result:
        """Run a command that inherits the lock and nothing of the host's environment."""
        return self._run(argv, timeout=timeout, env=ENVIRONMENT, clean=True, close_fds=False)

    def kubeadm(self, arguments: list[str], timeout: float) -> str:
        """Return the output of a kubeadm command. Raise KubeadmError with what it complained about."""
        done = self.run([self.program, *arguments], timeout)
        if done.rc:
            lines = [
                line
                for line in (done.err or done.out).splitlines()
                if line.strip() and not line.startswith(("W", "I", "To see the stack trace"))
            ]
            raise KubeadmError("kubeadm %s: %s" % (" ".join(arguments[:2]), masked_message("\n".join(lines[-12:]))))
        return done.out

    def has(self, *names: str) -> bool:
        """Return True if all of these exist in /etc/kubernetes."""
        return all(os.path.exists(os.path.join(self.kubernetes, name)) for name in names)

    def has_kubelet_identity(self) -> bool:
        """Return True if the kubelet has its own certificate already."""
        return self.has("kubelet.conf") and os.path.exists(self.root + paths.KUBELET_CLIENT)

    def api(self, kubeconfig: str, timeout: float = 5) -> Api:
        """Return a client with one of the node's kubeconfigs. It asks the own API server first, then the file's."""
        path = "%s/%s" % (self.kubernetes, kubeconfig)
        own = kubernetes.local_server(self.root + paths.API_SERVER_MANIFEST) if kubeconfig == "admin.conf" else None
        return Api([own, kubernetes.server_in(path)], path, timeout=timeout, patience=0)

    def lock(self, timeout: float) -> IO[str]:
        """Hold the node's lock, after a kubeadm that a killed run left behind has finished. Raise OwnershipError."""
        return lock_node(self.root + paths.KUBEADM_LOCK, timeout, inherited=True)

    @staticmethod
    def config_file(text: str) -> MemoryFile:
        """Return kubeadm's configuration as a file in memory, because it holds tokens and keys."""
        return MemoryFile(text.encode(), inherited=True)

    def half_done(self) -> bool:
        """Return True if an earlier run left traces."""
        names = ("kubelet.conf", "manifests/etcd.yaml", "manifests/kube-apiserver.yaml", "pki/ca.crt")
        return any(self.has(name) for name in names)

    def ignored_preflight(self) -> list[str]:
        """Return the flag that makes preflight accept the traces of an earlier run."""
        return ["--ignore-preflight-errors=" + ",".join(LEFTOVERS)] if self.half_done() else []

    # -- init ------------------------------------------------------------------------------------------------------

    def initialised(self) -> bool:
        """Return True if the cluster has what the last phases of `kubeadm init` make."""
        if not self.has("admin.conf", "manifests/kube-apiserver.yaml"):
            return False
        try:
            api = self.api("admin.conf", timeout=15)
            return all(api.get(path, missing_ok=True) is not None for path in LAST_MADE)
        except ApiError as error:
            if self.is_finished():
                text = "the cluster exists and its API does not answer: %s. It is not initialised again. Start the API first."
                raise KubeadmError(text % masked_message(str(error))) from error
            return False  # a half-made cluster has no API, or one that allows the administrator nothing yet

    def is_finished(self) -> bool:
        """Return True if the kubelet's kubeconfig is final: init passed its phase kubelet-finalize, or a join did."""
        return paths.KUBELET_CLIENT in read_text(self.kubernetes + "/kubelet.conf")

    def init(self, config: str, timeout: float, external_etcd: dict[str, str] | None = None) -> bool:
        """Create a new cluster, or finish a half-made one. Return True if anything was done. Raise KubeadmError.

        external_etcd: {servers, cafile, certfile, keyfile} of an etcd that others run.
        """
        with self.lock(timeout):
            if self.initialised():
                return False
            if external_etcd and not self.has("manifests/kube-apiserver.yaml"):
                problem = etcd.used_problem(external_etcd)
                if problem:
                    raise KubeadmError(problem)
            with self.config_file(config.replace("@token@", new_token())) as path:
                flags = ["--skip-token-print", "--skip-phases=show-join-command", *self.ignored_preflight()]
                self.kubeadm(["init", "--config", path, *flags], timeout)
            # kubeadm needs it only until the administrator has rights. `kubeadm init phase kubeconfig super-admin` makes
            # it again.
            with contextlib.suppress(FileNotFoundError):
                os.unlink(self.root + paths.SUPER_ADMIN)
        return True

    # -- a running control plane -----------------------------------------------------------------------------------

    def reconfigure(self, config: str, timeout: float) -> None:
        """Write this control plane's static pods again; the kubelet restarts those that differ.

        The serving certificate is made again too, by the same authority: its names may be what changed.
        """
        with self.lock(timeout), self.config_file(config.replace("@token@", new_token())) as path:
            with self._former_certificate_kept():
                self.kubeadm(["init", "phase", "certs", "apiserver", "--config", path], timeout)
            self.kubeadm(["init", "phase", "control-plane", "all", "--config", path], timeout)

    @contextlib.contextmanager
    def _former_certificate_kept(self) -> Iterator[None]:
        """Rename the serving certificate, because kubeadm keeps an existing one; restore it if no new one is made."""
        files = ["%s/pki/%s" % (self.kubernetes, name) for name in ("apiserver.crt", "apiserver.key")]
        for path in files:
            if os.path.exists(path):
                os.replace(path, path + ".former")
        try:
            yield
        finally:
            complete = all(os.path.exists(path) for path in files)
            for path in files:
                with contextlib.suppress(FileNotFoundError):
                    if complete:
                        os.unlink(path + ".former")
                    else:
                        os.replace(path + ".former", path)

    def upload(self, config: str, timeout: float) -> None:
        """Store the configuration in the cluster, for later joins and upgrades."""
        with self.lock(timeout), self.config_file(config.replace("@token@", new_token())) as path:
            self.kubeadm(["init", "phase", "upload-config", "kubeadm", "--config", path, *self._as_admin()], timeout)

    def credentials(self, config: str, control_planes: bool, timeout: float) -> dict[str, str]:
        """Return what others need to join: {token, ca_hash, certificate_key}. Raise KubeadmError.

        The token is valid for half an hour, the key for two hours.
        """
        with self.lock(timeout), ThreadPoolExecutor() as both:
            uploaded = both.submit(self._upload_certificates, config) if control_planes else None
            flags = ["--ttl", "30m", "--description", paths.TOKEN_DESCRIPTION, "--print-join-command"]
            output = self.kubeadm(["token", "create", *flags, *self._as_admin()], 60)
            token, ca_hash = (_word_after(output, flag) for flag in ("--token", "--discovery-token-ca-cert-hash"))
            key = uploaded.result() if uploaded else ""
        return {"token": token, "ca_hash": ca_hash, "certificate_key": key}

    def _upload_certificates(self, config: str) -> str:
        """Store the control planes' certificates in the cluster, encrypted. Return the key that opens them."""
        with self.config_file(config.replace("@token@", new_token())) as path:
            arguments = ["init", "phase", "upload-certs", "--upload-certs", "--config", path]
            words = self.kubeadm([*arguments, *self._as_admin()], 60).split()
        if not words:
            raise KubeadmError("the output of kubeadm init phase upload-certs has no certificate key")
        return words[-1]

    def _as_admin(self) -> list[str]:
        return ["--kubeconfig", self.kubernetes + "/admin.conf"]

    # -- waiting ---------------------------------------------------------------------------------------------------

    def wait_api(self, timeout: float) -> None:
        """Wait for this node's own API server, which its kubelet starts. Raise KubeadmError after `timeout` seconds."""
        deadline = time.monotonic() + timeout
        while True:
            problem = self.api_problem()
            if not problem:
                return
            if time.monotonic() > deadline:
                reason = masked_message(problem[-400:])
                raise KubeadmError("the API server was not ready within %d s: %s" % (timeout, reason))
            time.sleep(1)

    def api_problem(self) -> str:
        """Return why this node's own API server does not serve; "" if it does."""
        own = kubernetes.local_server(self.root + paths.API_SERVER_MANIFEST)
        if own is None:
            return "%s is missing" % paths.API_SERVER_MANIFEST
        try:
            status, text = Api([own], self.kubernetes + "/admin.conf", timeout=5, patience=0).ask("GET", "/readyz")
        except ApiError as error:
            return str(error)
        return "" if status == 200 else kubernetes.reason(status, text.strip())

    def last_words(self) -> str:
        """Return the last errors in the kubelet's log, for error messages, without secrets."""
        logged = self.run(["journalctl", "-u", "kubelet", "-n", "40", "--no-pager", "-o", "cat"], 10)
        lines = [line[:300] for line in logged.out.splitlines() if line.startswith("E") or "rror" in line]
        return masked_message("\n".join(lines[-5:]))


def new_token() -> str:
    """Return a random bootstrap token: https://kubernetes.io/docs/reference/access-authn-authz/bootstrap-tokens/"""
    return "%s.%s" % (_random(6), _random(16))


def _random(length: int) -> str:
    return "".join(secrets.choice(string.ascii_lowercase + string.digits) for _number in range(length))


def _word_after(text: str, flag: str) -> str:
    words = text.split()
    if flag not in words[:-1]:
        raise KubeadmError("the output of kubeadm token create has no %s" % flag)
    return words[words.index(flag) + 1]
