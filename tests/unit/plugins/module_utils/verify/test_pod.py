# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import os
import shutil
import socket
import subprocess
import threading
import time

import pytest
from ansible_collections.kubewright.cluster.plugins.module_utils.verify import dns as probe_dns, pod as probe_pod

UID = "99976031-1ec2-4163-b9cd-a4b8ab0faa25"
CGROUPS = {
    "v1, cgroupfs": "9:name=systemd:/kubepods/burstable/pod%s/4348e7\n0::/\n" % UID,
    "v2, cgroupfs": "0::/kubepods/besteffort/pod%s/4348e7\n" % UID,
    "v2, systemd": "0::/kubepods.slice/kubepods-besteffort.slice/"
    "kubepods-besteffort-pod%s.slice/cri-containerd-4348e7.scope\n" % UID.replace("-", "_"),
    "v2, in a container": "0::/../kubepods/pod%s/4348e7\n" % UID,
}
DOMAIN = "svc.cluster.local"


@pytest.mark.parametrize("text", CGROUPS.values(), ids=CGROUPS)
def test_a_pods_process_is_found_by_its_control_group(tmp_path, text):
    for pid, content in (("1", "0::/init.scope\n"), ("77", text), ("self", text)):
        (tmp_path / pid).mkdir()
        (tmp_path / pid / "cgroup").write_text(content)
    (tmp_path / "88").mkdir()  # ended in the meantime
    assert probe_pod.process_of(UID, str(tmp_path)) == 77
    assert probe_pod.process_of(UID.replace("9", "8"), str(tmp_path)) is None


def test_a_resolver_is_read():
    text = (
        "search x.svc.cluster.local svc.cluster.local cluster.local\nnameserver 10.96.0.10\n"
        "# nameserver 1.1.1.1\nnameserver fd00::a\noptions ndots:5\n"
    )
    assert probe_pod.resolver(text) == (
        ["10.96.0.10", "fd00::a"],
        ["x.svc.cluster.local", "svc.cluster.local", "cluster.local"],
    )
    assert probe_pod.resolver("nameserver\n") == ([], [])


def test_in_a_small_cluster_each_reaches_each():
    pods = {name: {"ips": [name]} for name in "abcd"}
    assert probe_pod.peers("b", pods) == {"c": ["c"], "d": ["d"], "a": ["a"]}
    assert probe_pod.peers("a", {"a": {"ips": ["1"]}}) == {}


def test_in_a_large_cluster_a_ring_reaches_every_node():
    pods = {"n%03d" % number: {"ips": [str(number)]} for number in range(200)}
    reached = {}
    for name in pods:
        for peer in probe_pod.peers(name, pods):
            reached.setdefault(peer, []).append(name)
    assert {len(askers) for askers in reached.values()} == {probe_pod.SOME_PEERS}
    assert set(reached) == set(pods)


def soon(seconds=0.3):
    return time.monotonic() + seconds


def test_a_pod_that_sees_our_own_address_is_fine(serve):
    found = probe_pod.pod_to_pod("a", "127.0.0.1", "b", "127.0.0.1", serve.names().port, soon())
    assert [(item["status"], item["peer"]) for item in found] == [("ok", "b")]


def test_an_address_that_is_translated_on_the_way_is_a_warning(serve):
    port = serve.names(whoami="10.0.0.9").port
    found = probe_pod.pod_to_pod("a", "127.0.0.1", "b", "127.0.0.1", port, soon())
    assert found[0]["status"] == "warn"
    assert "sees 10.0.0.9 instead of this pod's address 127.0.0.1" in found[0]["text"]


def test_a_pod_that_is_silent_is_named_with_transport_and_reason(serve):
    server = serve.names()
    server.stop_streams()
    found = probe_pod.pod_to_pod("a", "127.0.0.1", "b", "127.0.0.1", server.port, soon())
    assert found[0]["status"] == "fail"
    assert "the pod on b (127.0.0.1) does not answer by TCP" in found[0]["text"]
    assert "refused" in found[0]["text"]


def test_a_service_answers_by_both_transports(serve):
    port = serve.names().port
    assert probe_pod.service("a", "127.0.0.1", port, soon())[0]["status"] == "ok"
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        found = probe_pod.service("a", "127.0.0.1", free.getsockname()[1], soon(0.1))
    assert found[0]["status"] == "fail"
    assert "kube-proxy" in found[0]["hint"]


@pytest.fixture
def dns(serve, monkeypatch):
    """A cluster's name server that is reached at port 53 of its address."""

    def start(known):
        port = serve.names(lambda name: (0, known[name]) if name in known else (3, [])).port
        ask = probe_dns.ask
        monkeypatch.setattr(
            probe_dns, "ask", lambda server, name, kind, tcp: ask(server, name, kind, port=port, tcp=tcp)
        )

    return start


@pytest.fixture(autouse=True)
def notice(monkeypatch):
    monkeypatch.setattr(probe_pod, "NOTICE_SECONDS", 0)


def names(search=(DOMAIN,), servers=("127.0.0.1",)):
    begun = {"namespace": "kubewright-verify-1", "service_ips": ["10.96.0.7"]}
    return probe_pod.names("a", list(servers), list(search), begun, soon())[0]


def test_names_of_services_are_known(dns):
    dns(
        {
            "kubernetes.default." + DOMAIN: ["10.96.0.1"],
            "kubewright-verify.kubewright-verify-1." + DOMAIN: ["10.96.0.7"],
        }
    )
    assert names()["status"] == "ok"


def test_a_name_server_that_notices_the_service_late_is_waited_for(dns, monkeypatch):
    known = {"kubernetes.default." + DOMAIN: ["10.96.0.1"]}
    dns(known)
    monkeypatch.setattr(probe_pod, "NOTICE_SECONDS", 5)
    late = threading.Timer(1, known.update, [{"kubewright-verify.kubewright-verify-1." + DOMAIN: ["10.96.0.7"]}])
    late.start()
    found = names()
    assert found["status"] == "ok" and found["ms"] > 500


def test_a_service_that_dns_does_not_know_fails(dns):
    dns({"kubernetes.default." + DOMAIN: ["10.96.0.1"]})
    assert names()["status"] == "fail"
    assert "kubewright-verify.kubewright-verify-1.%s by UDP" % DOMAIN in names()["text"]
    assert "NXDOMAIN" in names()["text"]


def test_a_service_at_another_address_fails(dns):
    dns(
        {
            "kubernetes.default." + DOMAIN: ["10.96.0.1"],
            "kubewright-verify.kubewright-verify-1." + DOMAIN: ["10.96.0.8"],
        }
    )
    assert "the answer is 10.96.0.8" in names()["text"]


def test_a_pod_that_has_the_hosts_resolver_fails():
    found = names(search=("example.com",))
    assert found["status"] == "fail"
    assert "clusterDNS" in found["hint"]
    assert names(servers=())["status"] == "fail"


def test_passed_checks_of_one_kind_become_one(serve):
    port = serve.names().port
    found = [item for node in "bc" for item in probe_pod.pod_to_pod("a", "127.0.0.1", node, "127.0.0.1", port, soon())]
    found.append({"name": "Service", "status": "ok"})
    merged = probe_pod.merged("a", "pod to pod", found)
    assert [item["name"] for item in merged] == ["pod to pod", "Service"]
    assert merged[0]["text"] == "reaches the pods on b, c by UDP and TCP"


@pytest.mark.parametrize(
    ("services", "kinds"),
    [
        (["10.96.0.7"], {"names", "Service", "pod to pod"}),
        (["10.96.0.7", "fd01::7"], {"names", "Service, IPv4", "Service, IPv6", "pod to pod, IPv4", "pod to pod, IPv6"}),
    ],
)
def test_with_both_families_each_is_tried_and_told_apart(monkeypatch, services, kinds):
    pods = {
        node: {"ips": ["10.0.0.%d" % number, "fd00::%d" % number][: len(services)]}
        for number, node in enumerate("abc", 1)
    }
    asked = []

    def pod_to_pod(own, address, node, there, port, deadline):
        asked.append((address, node, there))
        return [{"name": "pod to pod", "status": "ok", "peer": node, "ms": 1}]

    monkeypatch.setattr(probe_pod, "pod_to_pod", pod_to_pod)
    monkeypatch.setattr(probe_pod, "service", lambda *place: [{"name": "Service", "status": "ok"}])
    monkeypatch.setattr(probe_pod, "names", lambda *place: [{"name": "names", "status": "ok"}])
    found = probe_pod.from_pod("a", {"pods": pods, "service_ips": services, "port": 1}, [], [], soon())
    assert sorted(item["name"] for item in found) == sorted(kinds)
    both = [
        ("10.0.0.1", "b", "10.0.0.2"),
        ("10.0.0.1", "c", "10.0.0.3"),
        ("fd00::1", "b", "fd00::2"),
        ("fd00::1", "c", "fd00::3"),
    ]
    assert sorted(asked) == both[: len(asked)] and len(asked) == 2 * len(services)


def test_a_node_without_a_pod_has_nothing_to_say():
    assert probe_pod.checks("a", {"pods": {}}, soon()) == []
    assert probe_pod.checks("a", {}, soon()) == []


def test_a_pod_without_a_process_is_a_failure():
    found = probe_pod.checks("a", {"pods": {"a": {"uid": "no-such-uid", "ips": ["10.0.0.1"]}}}, soon())
    assert "no process of the pod no-such-uid" in found[0]["text"]


@pytest.mark.skipif(os.geteuid() != 0 or not shutil.which("unshare"), reason="needs root")
class TestWithin:
    @pytest.fixture
    def namespace(self):
        holder = subprocess.Popen(["unshare", "--net", "sleep", "60"])
        path = "/proc/%d/ns/net" % holder.pid
        own = os.readlink("/proc/self/ns/net")
        try:
            for _each in range(100):
                if os.path.exists(path) and os.readlink(path) != own:
                    break
                time.sleep(0.02)
            else:
                pytest.skip("no network namespace can be made here")
            yield path
        finally:
            holder.kill()
            holder.wait()

    def test_work_and_its_threads_are_inside_and_the_caller_is_not(self, namespace):
        def place():
            return os.readlink("/proc/thread-self/ns/net")

        def work():
            found = [place()]
            thread = threading.Thread(target=lambda: found.append(place()))
            thread.start()
            thread.join()
            return found

        own = place()
        assert probe_pod.within(namespace, work) == [os.readlink(namespace)] * 2
        assert place() == own

    def test_nothing_of_the_hosts_network_is_reached_from_inside(self, namespace, serve):
        port = serve.names().port
        assert (
            probe_pod.within("/proc/self/ns/net", lambda: probe_pod.service("a", "127.0.0.1", port, soon()))[0][
                "status"
            ]
            == "ok"
        )
        assert (
            probe_pod.within(namespace, lambda: probe_pod.service("a", "127.0.0.1", port, soon()))[0]["status"]
            == "fail"
        )

    def test_errors_come_back(self, namespace):
        with pytest.raises(ZeroDivisionError):
            probe_pod.within(namespace, lambda: 1 / 0)
        with pytest.raises(OSError, match="No such file"):
            probe_pod.within("/nowhere", int)
