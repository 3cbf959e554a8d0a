# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json

import pytest
from ansible_collections.kubewright.cluster.plugins.module_utils.base.commands import Result
from ansible_collections.kubewright.cluster.plugins.module_utils.local import host as local_host
from ansible_collections.kubewright.cluster.plugins.module_utils.local.nodes import LocalError

V2 = "proc /proc proc rw 0 0\ncgroup2 /sys/fs/cgroup cgroup2 rw,nosuid 0 0\n"
V1 = "tmpfs /sys/fs/cgroup tmpfs rw 0 0\ncgroup /sys/fs/cgroup/cpu cgroup rw,cpu 0 0\n"
HYBRID = (
    V1 + "cgroup /sys/fs/cgroup/systemd cgroup rw,name=systemd 0 0\ncgroup2 /sys/fs/cgroup/unified cgroup2 rw 0 0\n"
)
ROUTES = """Iface\tDestination\tGateway\tFlags\tRefCnt\tUse\tMetric\tMask\tMTU\tWindow\tIRTT
eth0\t00000000\t010200C0\t0003\t0\t0\t0\t00000000\t0\t0\t0
eth0\t000200C0\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0
tun0\t0000600A\t00000000\t0001\t0\t0\t0\t0000F0FF\t0\t0\t0
"""
NODE = {
    "name": "demo-cp1", "groups": ["kube_control_plane"], "address": "10.131.0.10",
    "cpus": None, "memory": None, "ports": [], "env": {},
}  # fmt: skip
CLUSTER = {
    "name": "demo",
    "network": "kubewright",
    "image": "img",
    "key": "ssh-ed25519 AAA",
    "resolv_conf": "/c/resolv.conf",
}


def host(**differs):
    ordinary = {
        "engine": "podman", "rootless": False, "runtime": "crun", "runtimes": ["crun"], "cgroup": "v2",
        "raises_limits": True, "limits": {"nofile": 1048576, "nproc": 4194304}, "modules": True,
    }  # fmt: skip
    return dict(ordinary, **differs)


CONSTRAINED = host(
    runtime="crun", runtimes=["crun", "runc"], cgroup="hybrid", raises_limits=False,
    limits={"nofile": 20000, "nproc": 32768}, modules=False,
)  # fmt: skip


@pytest.mark.parametrize(("mounts", "version"), [(V2, "v2"), (V1, "v1"), (HYBRID, "hybrid")])
def test_cgroup_version(mounts, version):
    assert local_host.cgroup_version(mounts) == version


def test_capability():
    assert local_host.has_capability("Name:\tx\nCapEff:\t000001ffffffffff\n", local_host.CAP_SYS_RESOURCE)
    assert not local_host.has_capability("CapEff:\t000001fffeffffff\n", local_host.CAP_SYS_RESOURCE)
    assert not local_host.has_capability("", local_host.CAP_SYS_RESOURCE)


def test_routes_without_the_default_one():
    assert local_host.ipv4_routes(ROUTES) == ["192.0.2.0/24", "10.96.0.0/12"]


def test_an_ordinary_machine_gets_no_special_flag():
    line = " ".join(local_host.run_arguments(host(), CLUSTER, NODE))
    assert line.startswith(
        "run --detach --name demo-cp1 --hostname demo-cp1 --privileged --label kubewright.cluster=demo"
    )
    assert "--systemd=always" in line
    assert "--volume /lib/modules:/lib/modules:ro" in line
    for special in ("--runtime", "--ulimit", "--tmpfs", "--cgroupns", "--systemd=false", "--memory", "--publish"):
        assert special not in line


def test_a_constrained_machine_gets_what_it_needs():
    arguments = local_host.run_arguments(CONSTRAINED, CLUSTER, NODE)
    line = " ".join(arguments)
    assert arguments[:3] == ["--runtime", "runc", "run"]
    for part in (
        "--cgroupns=private --systemd=false --env container=podman --stop-signal SIGRTMIN+3",
        "--tmpfs /run:exec --tmpfs /run/lock:exec --tmpfs /tmp:exec",
        "--ulimit nofile=20000:20000 --ulimit nproc=32768:32768",
        "--network kubewright --ip 10.131.0.10 --mac-address 02:42:0a:83:00:0a --dns-search .",
        "--volume /var/lib/containerd --volume /var/lib/kubelet --volume /var/lib/etcd --volume /var/lib/rancher",
    ):
        assert part in line
    assert "/lib/modules" not in line
    assert arguments[-2:] == ["img", "/sbin/init"]


def test_no_other_runtime_where_runc_is_the_engines_own():
    assert local_host.global_arguments(dict(CONSTRAINED, runtime="runc")) == []


def test_unlimited_is_no_limit():
    assert local_host.limit_arguments(host(raises_limits=False, limits={"nofile": -1, "nproc": -1})) == []


def test_docker_has_its_own_way():
    line = " ".join(local_host.run_arguments(host(engine="docker", runtime="runc"), CLUSTER, NODE))
    assert "--cgroupns=private --env container=docker" in line
    assert "--volume /c/resolv.conf:/etc/resolv.conf:ro" in line
    for podmans in ("--systemd", "--mac-address", "--dns-search", "--ulimit", "--runtime"):
        assert podmans not in line
    assert "--disable-dns" not in local_host.network_create_arguments(host(engine="docker"), "n", "10.1.0.0/24")
    assert "--disable-dns" in local_host.network_create_arguments(host(), "n", "10.1.0.0/24")


def test_limits_ports_and_environment():
    node = dict(NODE, cpus=1.5, memory="2g", ports=["8080:80"], env={"A": "b"})
    line = " ".join(local_host.run_arguments(host(), CLUSTER, node))
    for part in (
        "--memory 2g --cpus 1.5",
        "--publish 127.0.0.1:8080:80/tcp",
        "--env A=b",
        "--env KUBEWRIGHT_AUTHORIZED_KEY=ssh",
    ):
        assert part in line


def test_rootless_and_missing_runc_are_refused_with_the_reason():
    assert "root" in local_host.refusals(host(rootless=True))[0]
    assert "install runc" in local_host.refusals(dict(CONSTRAINED, runtimes=["crun"]))[0]
    assert local_host.refusals(CONSTRAINED) == []
    assert local_host.refusals(host()) == []


@pytest.mark.parametrize(
    ("hard", "pid_max", "limit"),
    [(96365, "32768\n", 32768), (1000, "4194304", 1000), (-1, "32768", 32768), (-1, "", -1)],
)
def test_process_limit(hard, pid_max, limit):
    assert local_host.process_limit(hard, pid_max) == limit


def test_engine_facts():
    podman = {"host": {"ociRuntime": {"name": "runc"}, "security": {"rootless": True}}, "version": {"Version": "4.3.1"}}
    assert local_host.engine_facts("podman", podman) == {
        "engine": "podman", "version": "4.3.1", "rootless": True, "runtime": "runc",
    }  # fmt: skip
    docker = {"ServerVersion": "28.2", "DefaultRuntime": "runc", "SecurityOptions": ["name=seccomp", "name=rootless"]}
    assert local_host.engine_facts("docker", docker)["rootless"] is True
    # The docker command may be Podman's.
    assert local_host.engine_facts("docker", podman)["engine"] == "podman"


def test_nameservers_that_nodes_can_reach():
    stub, real = "nameserver 127.0.0.53\nsearch lan\n", "# x\nnameserver 192.0.2.53\nnameserver 192.0.2.54\n"
    assert local_host.nameservers(stub, real) == ["192.0.2.53", "192.0.2.54"]
    assert local_host.nameservers(stub, "") == []


@pytest.fixture
def engines(monkeypatch):
    """Which programs are installed, and what their `info` says."""
    answers = {}
    monkeypatch.setattr(local_host.shutil, "which", lambda name, **dummy: name if name in answers else None)
    monkeypatch.setattr(local_host, "read_host", lambda: host(cgroup="v2"))

    def run(command):
        code, answer = answers[command[0]]
        return Result(code, json.dumps(answer), "cannot connect")

    return answers, run


ROOTLESS = {"host": {"security": {"rootless": True}, "ociRuntime": {"name": "crun"}}}
ROOTFUL = {"host": {"security": {"rootless": False}, "ociRuntime": {"name": "crun"}}}
DOCKER = {"ServerVersion": "28", "DefaultRuntime": "runc"}


@pytest.mark.parametrize(
    ("wanted", "installed", "chosen"),
    [
        ("auto", {"podman": (0, ROOTFUL), "docker": (0, DOCKER)}, "podman"),
        ("auto", {"podman": (0, ROOTLESS), "docker": (0, DOCKER)}, "docker"),
        ("auto", {"docker": (0, DOCKER)}, "docker"),
        ("docker", {"podman": (0, ROOTFUL), "docker": (0, DOCKER)}, "docker"),
    ],
)
def test_choice_of_engine(engines, wanted, installed, chosen):
    answers, run = engines
    answers.update(installed)
    assert local_host.choose_engine(wanted, run)[0] == chosen


@pytest.mark.parametrize(
    ("installed", "reasons"),
    [
        ({}, ["podman is not installed.", "docker is not installed."]),
        ({"podman": (0, ROOTLESS), "docker": (1, {})}, ["does not run as the host's root", "docker does not answer"]),
        ({"docker": (0, {"ServerErrors": ["no daemon"]})}, ["podman is not installed.", "docker does not answer"]),
    ],
)
def test_no_engine_says_why_for_each(engines, installed, reasons):
    answers, run = engines
    answers.update(installed)
    with pytest.raises(LocalError) as error:
        local_host.choose_engine("auto", run)
    for reason in reasons:
        assert reason in str(error.value)


def test_inotify_instances_are_raised_for_many_nodes_only():
    assert local_host.inotify_shortage(4, 1024) is None
    assert local_host.inotify_shortage(4, None) is None
    assert local_host.inotify_shortage(4, 128) == 384
