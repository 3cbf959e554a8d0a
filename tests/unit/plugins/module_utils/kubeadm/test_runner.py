# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The runner with a fake kubeadm below a temporary root: order of commands, what a failure leaves, hidden secrets."""

from __future__ import annotations

import json
import os
import re
import stat
import subprocess

import pytest
from ansible_collections.kubewright.cluster.plugins.module_utils.api.kubernetes import ApiError
from ansible_collections.kubewright.cluster.plugins.module_utils.base import commands
from ansible_collections.kubewright.cluster.plugins.module_utils.base.commands import Result
from ansible_collections.kubewright.cluster.plugins.module_utils.kubeadm import images, join, runner as kubeadm, undo
from ansible_collections.kubewright.cluster.plugins.module_utils.kubeadm.runner import KubeadmError, Runner
from ansible_collections.kubewright.cluster.plugins.module_utils.node.ownership import OwnershipError

SECRET = {"token": "abcdef.0123456789abcdef", "ca_hash": "sha256:" + "d" * 64, "certificate_key": "e" * 64}
CONTROL_PLANE = {"control_plane": True, "address": "10.0.0.12", "others": ["10.0.0.11"]}
WORKER = {"control_plane": False, "address": "10.0.0.14", "others": []}
JOIN = "token: @token@\nhash: @ca_hash@\nkey: @certificate_key@\n"
JOIN_COMMAND = "kubeadm join cp:6443 --token %(token)s --discovery-token-ca-cert-hash %(ca_hash)s\n" % SECRET


class Api:
    """The answers of an API by path; a missing one is 404, an exception is raised."""

    def __init__(self, answers):
        self.answers = answers

    def get(self, path, missing_ok=False):
        answer = self.answers.get(path.partition("?")[0])
        if isinstance(answer, Exception):
            raise answer
        return answer


class Machine(Runner):
    """A node below a directory. answers: results by the start of a command. configs: the contents of --config files."""

    def __init__(self, root):
        super().__init__(str(root), self.fake)
        self.commands, self.configs, self.answers, self.objects, self.effects = [], [], {}, {}, {}
        self.servers = []
        for place in ("run", "etc/kubernetes/manifests", "etc/kubernetes/pki", "var/lib/kubelet/pki"):
            (root / place).mkdir(parents=True)
        self.place = root

    def fake(self, argv, timeout=None, env=None, clean=False, close_fds=True):
        # Without the host's environment: kubeadm would use its HTTP_PROXY, and write it into the static pods.
        assert env == {"KUBECONFIG": ""} and clean and not close_fds and timeout
        line = " ".join([os.path.basename(argv[0]), *argv[1:]])
        if "--config" in argv:
            path = argv[argv.index("--config") + 1]
            assert stat.S_IMODE(os.stat(path).st_mode) == 0o600
            with open(path, encoding="utf-8") as stream:
                self.configs.append(stream.read())
            line = line.replace(path, "FILE")
        self.commands.append(line)
        for start, effect in self.effects.items():
            if line.startswith(start):
                effect()
        return next((answer for start, answer in self.answers.items() if line.startswith(start)), Result(0))

    def api(self, kubeconfig, timeout=5):
        self.servers.append(kubeconfig)
        return Api(self.objects)

    def make(self, *names):
        for name in names:
            (self.place / "etc/kubernetes" / name).write_text("x")

    def identify(self):
        """Give the kubelet its certificate."""
        self.make("kubelet.conf")
        (self.place / "var/lib/kubelet/pki/kubelet-client-current.pem").write_text("x")

    def complete(self):
        self.make("admin.conf", "manifests/kube-apiserver.yaml", "manifests/etcd.yaml")
        self.objects.update({path: {} for path in kubeadm.LAST_MADE})


@pytest.fixture
def machine(tmp_path):
    made = Machine(tmp_path)
    yield made
    # Whatever happened: no configuration with secrets is left, and no command had one among its arguments.
    assert not [name for name in os.listdir(tmp_path / "run") if name.endswith(".yaml")]
    assert not any(secret in " ".join(made.commands) for secret in SECRET.values())


def failing(errors):
    return Result(1, "", errors)


# -- init ------------------------------------------------------------------------------------------------------------


def test_the_configuration_is_in_no_directory_and_a_program_that_is_started_can_read_it(machine):
    with machine.config_file("token: hunter2\n") as path:
        assert stat.S_IMODE(os.stat(path).st_mode) == 0o600
        done = commands.run(["sh", "-c", "cat %s; cat %s" % (path, path)], close_fds=False)
    assert done.out == "token: hunter2\n" * 2 and os.listdir(machine.place / "run") == []


def test_a_bare_machine_is_initialised(machine):
    assert machine.init("token: @token@\n", 5)
    assert machine.commands == ["kubeadm init --config FILE --skip-token-print --skip-phases=show-join-command"]
    assert re.fullmatch(r"token: [a-z0-9]{6}\.[a-z0-9]{16}\n", machine.configs[0])


@pytest.mark.parametrize("fails", [True, False])
def test_the_super_administrators_kubeconfig_does_not_outlive_the_init(machine, fails):
    path = machine.place / "etc/kubernetes/super-admin.conf"
    path.write_text("x")
    if fails:
        machine.answers["kubeadm init"] = failing("error: x")
        with pytest.raises(KubeadmError):
            machine.init("x", 5)
    else:
        machine.init("x", 5)
    assert path.exists() == fails


def test_a_complete_cluster_is_left(machine):
    machine.complete()
    assert not machine.init("x", 5) and machine.commands == []


@pytest.mark.parametrize("missing", kubeadm.LAST_MADE)
def test_a_half_made_cluster_is_finished_with_its_traces_ignored(machine, missing):
    machine.complete()
    del machine.objects[missing]
    assert machine.init("x", 5)
    assert machine.commands[0].startswith("kubeadm init --config FILE") and "Port-6443" in machine.commands[0]
    assert (
        "DirAvailable--var-lib-etcd" in machine.commands[0]
        and "FileAvailable--etc-kubernetes-pki-ca.crt" in machine.commands[0]
    )


def test_a_half_made_cluster_whose_api_is_silent_is_finished(machine):
    machine.complete()
    machine.objects[kubeadm.LAST_MADE[0]] = ApiError("refused")
    assert machine.init("x", 5) and "--ignore-preflight-errors=" in machine.commands[0]


def test_a_failed_init_says_what_kubeadm_said_without_secrets(machine):
    noise = "W1129 warning\nI1129 information\nTo see the stack trace of this error execute with --v=5 or higher\n"
    machine.answers["kubeadm init"] = failing(
        noise + "error: token %(token)s and key %(certificate_key)s are bad\n" % SECRET
    )
    with pytest.raises(KubeadmError) as error:
        machine.init("x", 5)
    assert str(error.value).startswith("kubeadm init --config: error: token") and str(error.value).endswith("are bad")
    assert "0123456789" not in str(error.value) and "eeee" not in str(error.value) and "W1129" not in str(error.value)


def test_a_kubeadm_that_still_runs_is_waited_for_and_then_named(machine):
    with machine.lock(5), pytest.raises(OwnershipError, match="for 0 s .*kubeadm.lock, process %d" % os.getpid()):
        machine.init("x", 0)
    assert machine.commands == []
    assert machine.init("x", 5)


def test_a_kubeadm_that_outlives_its_run_keeps_the_lock(machine):
    with machine.lock(5):
        left = subprocess.Popen(["sleep", "60"], close_fds=False)
    try:
        with pytest.raises(OwnershipError, match="or a program that it started"):
            machine.lock(0)
    finally:
        left.kill()
        left.wait()
    machine.lock(0).close()


# -- join ------------------------------------------------------------------------------------------------------------


def test_a_bare_worker_joins_with_secrets_in_a_file(machine):
    assert join.join(machine, JOIN, SECRET, "w-1", False, 5, WORKER)
    assert machine.commands == ["kubeadm join --config FILE"]
    assert machine.configs == ["token: %(token)s\nhash: %(ca_hash)s\nkey: %(certificate_key)s\n" % SECRET]


def test_a_worker_that_joined_is_left(machine):
    machine.identify()
    assert not join.join(machine, JOIN, SECRET, "w-1", True, 5, WORKER) and machine.commands == []


def test_a_control_plane_that_joined_is_left(machine):
    machine.identify()
    machine.complete()
    machine.objects["/api/v1/nodes/cp-2"] = {"metadata": {"labels": {"node-role.kubernetes.io/control-plane": ""}}}
    assert not join.join(machine, JOIN, SECRET, "cp-2", False, 5, CONTROL_PLANE) and machine.commands == []


@pytest.mark.parametrize("node", [None, {"metadata": {}}, {"metadata": {"labels": {"a": "b"}}}, ApiError("refused")])
def test_a_control_plane_whose_join_is_half_done_goes_on_without_the_bootstrap(machine, node):
    machine.identify()
    machine.complete()
    machine.objects["/api/v1/nodes/cp-2"] = node
    assert join.join(machine, JOIN, SECRET, "cp-2", False, 5, CONTROL_PLANE)
    assert machine.commands[0] == "systemctl start kubelet"
    assert machine.commands[1].startswith("kubeadm join --config FILE --ignore-preflight-errors=")
    assert machine.commands[1].endswith("--skip-phases=kubelet-start,kubelet-wait-bootstrap")


@pytest.mark.parametrize("missing", ["admin.conf", "manifests/kube-apiserver.yaml", "manifests/etcd.yaml"])
def test_a_control_plane_without_one_of_its_parts_goes_on(machine, missing):
    """Its Node has the label already: an earlier control plane of this name was reset."""
    machine.identify()
    machine.complete()
    machine.objects["/api/v1/nodes/cp-2"] = {"metadata": {"labels": {"node-role.kubernetes.io/control-plane": ""}}}
    (machine.place / "etc/kubernetes" / missing).unlink()
    assert join.join(machine, JOIN, SECRET, "cp-2", False, 5, CONTROL_PLANE)


@pytest.mark.parametrize("begun", [False, True])
def test_a_silent_api_is_no_reason_to_remove_anything(machine, begun):
    if begun:  # by this run, which may have been complete
        undo.begin(machine.root, "cp-2")
    machine.identify()
    machine.complete()
    machine.objects["/api/v1/nodes/cp-2"] = ApiError("refused")
    with pytest.raises(KubeadmError, match="cannot find out whether cp-2 joined: refused. Nothing was removed"):
        join.join(machine, JOIN, SECRET, "cp-2", True, 5, CONTROL_PLANE)
    assert machine.commands == []


def test_the_last_try_removes_what_the_failed_join_left(machine):
    undo.begin(machine.root, "cp-2")
    machine.make("kubelet.conf", "manifests/etcd.yaml")
    machine.effects["kubeadm reset"] = lambda: [
        (machine.place / "etc/kubernetes" / name).unlink() for name in ("kubelet.conf", "manifests/etcd.yaml")
    ]
    assert join.join(machine, JOIN, SECRET, "cp-2", True, 5, CONTROL_PLANE)
    assert machine.commands == [
        "kubeadm reset --force --cri-socket unix:///run/containerd/containerd.sock",
        "kubeadm join --config FILE",
    ]


def test_a_reset_that_fails_stops_the_join(machine):
    undo.begin(machine.root, "w-1")
    machine.make("kubelet.conf")
    machine.answers["kubeadm reset"] = failing("cannot reset\n")
    with pytest.raises(KubeadmError, match="kubeadm reset --force: cannot reset"):
        join.join(machine, JOIN, SECRET, "w-1", True, 5, WORKER)
    assert len(machine.commands) == 1


def test_a_failed_join_names_no_secret(machine):
    machine.answers["kubeadm join"] = failing(
        "the token %(token)s is not known, hash %(ca_hash)s, key %(certificate_key)s\n" % SECRET
    )
    with pytest.raises(KubeadmError) as error:
        join.join(machine, JOIN, SECRET, "w-1", False, 5, WORKER)
    assert "is not known" in str(error.value) and not any(value in str(error.value) for value in SECRET.values())
    assert "dddd" not in str(error.value)


@pytest.mark.parametrize("node", [None, {"metadata": {}}])
@pytest.mark.parametrize("recorded", [None, "cp-1"])
def test_a_member_that_no_join_of_ours_left_half_done_is_never_reset(machine, node, recorded):
    machine.identify()
    machine.complete()
    machine.objects["/api/v1/nodes/cp-2"] = node  # NotFound, as for a node that was renamed
    if recorded:
        undo.begin(machine.root, recorded)
    with pytest.raises(KubeadmError, match="Nothing was removed"):
        join.join(machine, JOIN, SECRET, "cp-2", True, 5, CONTROL_PLANE)
    assert machine.commands == []


def test_a_join_is_recorded_before_it_begins_and_forgotten_when_it_is_complete(machine):
    seen = []
    machine.effects["kubeadm join"] = lambda: seen.append(undo.is_ours(machine.root, "w-1"))
    join.join(machine, JOIN, SECRET, "w-1", False, 5, WORKER)
    assert seen == [True] and not undo.is_ours(machine.root, "w-1")


def test_a_join_that_goes_on_is_not_recorded_as_one_that_began_here(machine):
    machine.make("kubelet.conf")
    machine.answers["kubeadm join"] = failing("no\n")
    with pytest.raises(KubeadmError):
        join.join(machine, JOIN, SECRET, "w-1", False, 5, WORKER)
    assert not undo.is_ours(machine.root, "w-1")


def test_a_complete_join_is_not_undone_later(machine):
    undo.begin(machine.root, "w-1")
    machine.identify()
    assert not join.join(machine, JOIN, SECRET, "w-1", True, 5, WORKER)
    assert not undo.is_ours(machine.root, "w-1") and machine.commands == []


def test_nothing_is_reset_while_its_etcd_member_cannot_be_removed(machine, monkeypatch):
    undo.begin(machine.root, "cp-2")
    machine.make("kubelet.conf", "manifests/etcd.yaml")

    def refuse(*_arguments):
        raise undo.UndoError("etcd members are not healthy: cp-1")

    monkeypatch.setattr(undo, "others", lambda *_arguments: "client")
    monkeypatch.setattr(undo, "leave", refuse)
    with pytest.raises(KubeadmError, match="not healthy: cp-1. Nothing was removed"):
        join.join(machine, JOIN, SECRET, "cp-2", True, 5, CONTROL_PLANE)
    assert machine.commands == []


def test_a_cluster_that_exists_is_not_initialised_again_while_its_api_is_silent(machine):
    machine.complete()
    (machine.place / "etc/kubernetes/kubelet.conf").write_text("client-certificate: %s" % kubeadm.paths.KUBELET_CLIENT)
    machine.objects[kubeadm.LAST_MADE[0]] = ApiError("refused")
    with pytest.raises(KubeadmError, match="not initialised again"):
        machine.init("x", 5)
    assert machine.commands == []


# -- credentials -----------------------------------------------------------------------------------------------------


def test_credentials_for_workers_upload_nothing(machine):
    machine.answers["kubeadm token create"] = Result(0, JOIN_COMMAND)
    assert machine.credentials("x", False, 5) == {**SECRET, "certificate_key": ""}
    assert len(machine.commands) == 1 and "--ttl 30m" in machine.commands[0]
    assert "--description kubewright.cluster:" in machine.commands[0]


def test_credentials_for_control_planes_have_the_key_of_the_certificates(machine):
    machine.answers["kubeadm token create"] = Result(0, JOIN_COMMAND)
    machine.answers["kubeadm init phase upload-certs"] = Result(
        0, "[upload-certs] Using certificate key:\n%s\n" % SECRET["certificate_key"]
    )
    assert machine.credentials("token: @token@", True, 5) == SECRET
    assert [re.sub("[a-z0-9]{6}[.][a-z0-9]{16}", "TOKEN", text) for text in machine.configs] == ["token: TOKEN"]


@pytest.mark.parametrize(("output", "problem"), [("", "has no --token"), ("kubeadm join --token", "has no --token")])
def test_output_without_a_token_is_an_error_and_not_repeated(machine, output, problem):
    machine.answers["kubeadm token create"] = Result(0, output)
    with pytest.raises(KubeadmError, match=problem):
        machine.credentials("x", False, 5)


def test_a_missing_certificate_key_is_an_error(machine):
    machine.answers["kubeadm token create"] = Result(0, JOIN_COMMAND)
    with pytest.raises(KubeadmError, match="no certificate key"):
        machine.credentials("x", True, 5)


# -- a running control plane -----------------------------------------------------------------------------------------


@pytest.fixture
def certificate(machine):
    pki = machine.place / "etc/kubernetes/pki"
    for name in ("apiserver.crt", "apiserver.key"):
        (pki / name).write_text("former")

    def made():
        assert not (pki / "apiserver.crt").exists()  # kubeadm keeps one that is there
        for name in ("apiserver.crt", "apiserver.key"):
            (pki / name).write_text("new")

    machine.effects["kubeadm init phase certs"] = made
    return lambda: {name: (pki / name).read_text() for name in sorted(os.listdir(pki))}


def test_a_control_plane_is_written_again_certificate_first(machine, certificate):
    machine.reconfigure("token: @token@", 5)
    assert machine.commands == [
        "kubeadm init phase certs apiserver --config FILE",
        "kubeadm init phase control-plane all --config FILE",
    ]
    assert certificate() == {"apiserver.crt": "new", "apiserver.key": "new"}


def test_a_certificate_that_cannot_be_made_leaves_the_former(machine, certificate):
    machine.effects.clear()
    machine.answers["kubeadm init phase certs"] = failing("no authority\n")
    with pytest.raises(KubeadmError, match="no authority"):
        machine.reconfigure("x", 5)
    assert certificate() == {"apiserver.crt": "former", "apiserver.key": "former"} and len(machine.commands) == 1


def test_a_killed_reconfigure_is_finished_by_the_next(machine, certificate):
    pki = machine.place / "etc/kubernetes/pki"
    (pki / "apiserver.crt").rename(pki / "apiserver.crt.former")
    machine.reconfigure("x", 5)
    assert certificate() == {"apiserver.crt": "new", "apiserver.key": "new"}


def test_static_pods_that_cannot_be_written_are_an_error(machine, certificate):
    machine.answers["kubeadm init phase control-plane"] = failing("read-only file system\n")
    with pytest.raises(KubeadmError, match="kubeadm init phase: read-only"):
        machine.reconfigure("x", 5)


def test_the_configuration_is_uploaded_as_the_administrator(machine):
    machine.upload("x", 5)
    assert machine.commands == [
        "kubeadm init phase upload-config kubeadm --config FILE --kubeconfig %s/etc/kubernetes/admin.conf"
        % machine.place
    ]


# -- waiting ---------------------------------------------------------------------------------------------------------


def test_the_own_api_server_is_waited_for(machine, authority, serve):
    answers = [(500, b"[-]etcd failed"), (200, b"ok")]

    def answer(_request):
        code, body = answers.pop(0) if len(answers) > 1 else answers[0]
        return code, {}, body

    server = serve(authority.serve(answer))
    (machine.place / "etc/kubernetes/manifests/kube-apiserver.yaml").write_text(
        "- --advertise-address=127.0.0.1\n- --secure-port=%d\n" % server.port
    )
    with open(authority.kubeconfig(), encoding="utf-8") as stream:
        (machine.place / "etc/kubernetes/admin.conf").write_text(stream.read())
    assert machine.api_problem() == "HTTP 500, [-]etcd failed"
    machine.wait_api(0)


def test_an_api_server_that_does_not_come_is_named(machine):
    with pytest.raises(
        KubeadmError, match="not ready within 0 s: /etc/kubernetes/manifests/kube-apiserver.yaml is missing"
    ):
        machine.wait_api(0)


# -- images and messages ---------------------------------------------------------------------------------------------


@pytest.fixture
def runtime(machine):
    """A node with crictl."""
    program = machine.place / images.CRICTL.lstrip("/")
    program.parent.mkdir(parents=True)
    program.write_text("x")
    return machine


def test_only_missing_images_are_pulled_and_every_failure_is_named(runtime):
    runtime.answers["crictl images"] = Result(0, json.dumps({"images": [{"repoTags": ["a:1"]}, {"repoTags": None}]}))
    assert images.pull(runtime, ["a:1", "b:1"], 5) == ["b:1"]
    assert [line for line in runtime.commands if " pull " in line] == ["crictl --timeout 5s pull b:1"]
    runtime.answers["crictl --timeout"] = failing("time=x level=fatal\npulling failed: no such host\n")
    with pytest.raises(KubeadmError, match="b:1: pulling failed: no such host; c:1: pulling failed"):
        images.pull(runtime, ["a:1", "b:1", "c:1"], 5)


@pytest.mark.parametrize("answer", [failing("no runtime"), Result(0, "not JSON"), Result(1, '{"images": []}')])
def test_what_a_runtime_has_that_does_not_answer_is_unknown_and_all_is_pulled(runtime, answer):
    runtime.answers["crictl images"] = answer
    assert images.missing(runtime, ["a:1"]) is None
    assert images.pull(runtime, ["a:1"], 5) == ["a:1"]


def test_a_new_node_has_no_images(machine):
    assert images.missing(machine, ["a:1"]) == ["a:1"] and machine.commands == []


def test_the_kubelets_last_errors_are_masked(machine):
    machine.answers["journalctl"] = Result(0, "I fine\nE1129 cannot use %(token)s\n" % SECRET)
    assert machine.last_words().startswith("E1129 cannot use") and SECRET["token"] not in machine.last_words()


class FakeEtcd:
    """An etcd with so many objects, or one that fails."""

    def __init__(self, objects):
        self.objects = objects

    def count(self, prefix):
        assert prefix == "/registry/"
        if isinstance(self.objects, Exception):
            raise self.objects
        return self.objects


@pytest.mark.parametrize(("objects", "words"), [(412, "has 412 objects"), (OSError("refused"), "does not say whether")])
def test_no_second_cluster_begins_on_an_etcd_that_has_one(tmp_path, monkeypatch, objects, words):
    node = Machine(tmp_path)
    monkeypatch.setattr(kubeadm.etcd, "connect", lambda _how, timeout: FakeEtcd(objects))
    with pytest.raises(KubeadmError, match=words):
        node.init("kind: InitConfiguration", 60, {"servers": "https://10.0.0.9:2379"})
    assert not any(line.startswith("kubeadm init") for line in node.commands)


def test_an_init_on_an_empty_etcd_begins_and_one_that_was_interrupted_goes_on(tmp_path, monkeypatch):
    node = Machine(tmp_path)
    monkeypatch.setattr(kubeadm.etcd, "connect", lambda _how, timeout: FakeEtcd(0))
    node.init("kind: InitConfiguration", 60, {"servers": "https://10.0.0.9:2379"})
    # Its own API server has written objects since.
    monkeypatch.setattr(kubeadm.etcd, "connect", lambda _how, timeout: FakeEtcd(40))
    node.make("manifests/kube-apiserver.yaml")
    node.init("kind: InitConfiguration", 60, {"servers": "https://10.0.0.9:2379"})
    assert sum(line.startswith("kubeadm init --config") for line in node.commands) == 2


READY = Result(1, "", 'error: a Node with name "w-1" and status "Ready" already exists in the cluster.')


def test_a_node_that_was_reset_a_moment_ago_joins_once_its_node_is_not_ready(tmp_path, monkeypatch):
    node, slept = Machine(tmp_path), []
    monkeypatch.setattr(join.time, "sleep", slept.append)
    node.answers["kubeadm join"] = READY

    def not_ready_any_more():
        if len(slept) == 3:
            node.answers["kubeadm join"] = Result(0)

    node.effects["kubeadm join"] = not_ready_any_more
    assert join.join(node, JOIN, SECRET, "w-1", False, 60, WORKER)
    assert len(slept) == 3


def test_a_node_that_stays_ready_is_not_waited_for_without_an_end(tmp_path, monkeypatch):
    node, seconds = Machine(tmp_path), iter(range(0, 1000, 20))
    monkeypatch.setattr(join.time, "sleep", lambda _seconds: None)
    monkeypatch.setattr(join.time, "monotonic", lambda: next(seconds))
    node.answers["kubeadm join"] = READY
    with pytest.raises(KubeadmError, match="already exists"):
        join.join(node, JOIN, SECRET, "w-1", False, 60, WORKER)
