# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json
import os
import socket
import threading

import pytest
from ansible_collections.kubewright.cluster.plugins.module_utils.base.commands import Result
from ansible_collections.kubewright.cluster.plugins.module_utils.local import (
    cluster as local_cluster,
    engine as local_engine,
)
from ansible_collections.kubewright.cluster.plugins.module_utils.local.nodes import LocalError

PODMAN_BOX = {
    "Name": "demo-cp1", "ImageName": "localhost/n:1", "State": {"Running": True, "Status": "running"},
    "Config": {"Labels": {"kubewright.cluster": "demo", "kubewright.groups": "kube_control_plane,etcd"}},
    "NetworkSettings": {"Networks": {"kubewright": {"IPAddress": "10.131.0.10", "IPAMConfig": None}}},
}  # fmt: skip
DOCKER_BOX = {
    "Name": "/someones", "State": {"Running": False, "Status": "exited"}, "Config": {"Labels": None, "Image": "x"},
    "NetworkSettings": {"Networks": {"bridge": {}}},
}  # fmt: skip


@pytest.fixture(autouse=True)
def enough_inotify(monkeypatch):
    """The machine's own limit is neither read nor raised."""
    monkeypatch.setattr(local_cluster, "INOTIFY", "/nowhere/max_user_instances")


def test_containers_of_both_engines_are_described_alike():
    ours = local_engine.described(PODMAN_BOX, "kubewright")
    assert (ours["cluster"], ours["groups"], ours["address"]) == ("demo", ["kube_control_plane", "etcd"], "10.131.0.10")
    assert ours["attached"] and ours["running"]
    theirs = local_engine.described(DOCKER_BOX, "kubewright")
    assert (theirs["name"], theirs["cluster"], theirs["address"], theirs["attached"]) == ("someones", None, None, False)


def test_a_container_whose_processes_were_killed_with_its_watcher_is_lost(monkeypatch):
    """Podman 4.3 still says running then: seen where everything of a login session was killed."""
    gone = dict(PODMAN_BOX, State={"Running": True, "Status": "running", "Pid": 2**22 + 1})
    here = dict(PODMAN_BOX, State={"Running": True, "Status": "running", "Pid": os.getpid()})
    for engine, box, lost in (("podman", gone, True), ("podman", here, False), ("docker", gone, False)):
        answers = {"ps": "1", "inspect": json.dumps([box])}
        monkeypatch.setattr(local_engine, "run", lambda words, *_more, answers=answers: Result(0, answers[words[1]]))
        found = local_engine.Engine(engine, {"engine": engine}).containers("kubewright")[0]
        assert (found["lost"], found["running"]) == (lost, not lost)


def test_every_failure_of_many_is_told():
    def fail(item):
        if item:
            raise LocalError(f"no {item}")

    with pytest.raises(LocalError) as error:
        local_engine.together(fail, ["", "a", "b"])
    assert error.value.problems == ["no a", "no b"]
    assert local_engine.together(str, [1, 2]) == ["1", "2"]


def test_a_lock_that_is_held_is_named(tmp_path):
    path = str(tmp_path / "sub" / ".lock")
    with local_engine.locked(path), pytest.raises(LocalError, match="held"), local_engine.locked(path, seconds=0):
        pass
    with local_engine.locked(path, seconds=0):
        pass


def test_waiting_for_ssh():
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]

        def greet():
            client = server.accept()[0]
            client.sendall(b"SSH-2.0-x\r\n")
            client.close()

        thread = threading.Thread(target=greet)
        thread.start()
        assert local_engine.ssh_problem("127.0.0.1", port) is None
        thread.join()
    assert "refused" in local_engine.ssh_problem("127.0.0.1", port)


def test_a_node_that_does_not_answer_is_named(monkeypatch):
    monkeypatch.setattr(local_engine, "ssh_problem", lambda address: None if address == "a" else "refused")
    with pytest.raises(LocalError, match="n2 does not answer SSH on b after 0 s: refused"):
        local_engine.wait_for_ssh([{"name": "n1", "address": "a"}, {"name": "n2", "address": "b"}], 0)


class FakeEngine:
    """An engine that remembers what it was asked to do."""

    program = "fake"

    def __init__(self, boxes):
        self.boxes = boxes
        self.calls = []
        self.host = {"engine": "podman", "cgroup": "v2", "routes": [], "modules": False, "raises_limits": True}

    def __call__(self, *arguments, stdin=None):
        self.calls.append(arguments)
        if arguments[:2] == ("network", "inspect"):
            return "local\n"
        if arguments[0] == "rm":
            self.boxes = [box for box in self.boxes if box["name"] != arguments[-1]]
        return ""

    def failure(self, *arguments):
        self.calls.append(arguments)

    def containers(self, network):
        return list(self.boxes)

    def networks(self):
        return {"kubewright": ["10.131.0.0/24"]}


def described(name, cluster, address, running=True):
    return {
        "name": name, "cluster": cluster, "groups": ["kube_node"], "address": address, "spec": None, "image": "i",
        "running": running, "status": "running", "attached": True,
    }  # fmt: skip


def params(tmp_path, **more):
    given = {
        "name": "demo", "state": "present", "control_planes": 1, "workers": 1, "nodes": None, "ports": [], "cpus": None,
        "memory": None, "image": "img", "network": "kubewright", "subnet": None, "cache": str(tmp_path),
        "vars": {}, "images": [], "timeout": 1,
    }  # fmt: skip
    return dict(given, **more)


def test_check_mode_plans_addresses_and_does_nothing(tmp_path):
    engine = FakeEngine([described("other-cp1", "other", "10.131.0.10"), described("a-registry", None, "10.131.0.2")])
    result = local_cluster.Cluster(params(tmp_path), engine, True).run()
    assert result["actions"] == ["would make demo-cp1 at 10.131.0.11", "would make demo-w1 at 10.131.0.12"]
    assert result["summary"][0] == "Would make demo-cp1 at 10.131.0.11."
    assert engine.calls == [] and list(tmp_path.iterdir()) == []


def test_removal_takes_the_cluster_its_directory_and_an_empty_network(tmp_path):
    (tmp_path / "clusters" / "demo").mkdir(parents=True)
    engine = FakeEngine([described("demo-cp1", "demo", "10.131.0.10")])
    result = local_cluster.Cluster(params(tmp_path, state="absent"), engine, False).run()
    assert result["changed"] and result["nodes"] == []
    assert not (tmp_path / "clusters" / "demo").exists()
    assert ("network", "rm", "kubewright") in engine.calls
    assert not local_cluster.Cluster(params(tmp_path, state="absent"), engine, False).run()["changed"]


def test_removal_leaves_others_and_their_network(tmp_path):
    engine = FakeEngine([described("demo-cp1", "demo", "10.131.0.10"), described("x", None, "10.131.0.11")])
    local_cluster.Cluster(params(tmp_path, state="absent"), engine, False).run()
    assert [call[0] for call in engine.calls] == ["rm"] and engine.calls[0][-1] == "demo-cp1"


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        ({"control_planes": 0}, "at least 1"),
        ({"workers": -1}, "0 or more"),
        ({"memory": "lots"}, "not a size such as 2g"),
        ({"cpus": 0.0}, "more than 0"),
        ({"workers": 200}, "addresses for 190"),
    ],
)
def test_numbers_that_cannot_be_are_refused_in_check_mode_too(tmp_path, given, problem):
    with pytest.raises(LocalError, match=problem):
        local_cluster.Cluster(params(tmp_path, **given), FakeEngine([]), True).run()


def test_the_users_variables_are_in_the_inventory(tmp_path):
    source = {"kube_artifacts": {"source": "http://10.131.0.2:8080"}}
    result = local_cluster.Cluster(params(tmp_path, vars=source), FakeEngine([]), True).run()
    assert result["inventory"]["all"]["vars"]["kube_artifacts"] == source["kube_artifacts"]


def test_listing_shows_clusters_and_no_other_containers(tmp_path):
    engine = FakeEngine([described("demo-cp1", "demo", "10.131.0.10"), described("a-registry", None, "10.131.0.2")])
    result = local_cluster.Cluster(params(tmp_path, state="listed", name=None), engine, False).run()
    assert list(result["clusters"]) == ["demo"] and not result["changed"]
    assert result["summary"][0] == "demo: 1 of 1 nodes running"
    empty = local_cluster.Cluster(params(tmp_path, state="listed", name=None), FakeEngine([]), False).run()
    assert empty["summary"] == ["There are no local clusters."]
