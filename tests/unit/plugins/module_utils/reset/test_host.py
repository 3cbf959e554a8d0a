# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reset takes the cluster's chains and nothing else, and never crosses a mount point."""

from __future__ import annotations

import os

import pytest
from ansible_collections.kubewright.cluster.plugins.module_utils.base.commands import NOT_STARTED, Result
from ansible_collections.kubewright.cluster.plugins.module_utils.node import ownership as owned
from ansible_collections.kubewright.cluster.plugins.module_utils.reset import (
    data as cleanup_data,
    host as cleanup,
    network as cleanup_network,
)

SAVED = """*nat
:PREROUTING ACCEPT [0:0]
:POSTROUTING ACCEPT [0:0]
:KUBE-SERVICES - [0:0]
:CNI-HOSTPORT-DNAT - [0:0]
:MINE - [0:0]
-A PREROUTING -m comment --comment "kubernetes service portals" -j KUBE-SERVICES
-A PREROUTING -p tcp --dport 8080 -m comment --comment "not KUBE- at all" -j MINE
-A POSTROUTING -s 10.0.0.0/8 -j MASQUERADE
-A KUBE-SERVICES -d 10.96.0.1/32 -j KUBE-SVC-X
COMMIT
"""
KEPT = """*nat
:PREROUTING ACCEPT [0:0]
:POSTROUTING ACCEPT [0:0]
:MINE - [0:0]
-A PREROUTING -p tcp --dport 8080 -m comment --comment "not KUBE- at all" -j MINE
-A POSTROUTING -s 10.0.0.0/8 -j MASQUERADE
COMMIT
"""


def test_only_the_clusters_chains_go():
    gone = cleanup_network.removal(SAVED)
    assert "-X KUBE-SERVICES\n-X CNI-HOSTPORT-DNAT\n" in gone
    assert "MINE" not in gone and "MASQUERADE" not in gone
    assert cleanup_network.removal(KEPT) == ""


def test_rules_of_kube_router_go():
    rules = [
        'FORWARD -i kube-bridge -m comment --comment "allow outbound traffic from pods" -j ACCEPT',
        'FORWARD -o eth0 -m comment --comment "%s" -j ACCEPT' % cleanup_network.traces.KUBE_ROUTER.rule_comments[0],
        "POSTROUTING -m set --match-set kube-router-pod-subnets src -j MASQUERADE --random-fully",
    ]
    saved = "*filter\n:FORWARD ACCEPT [0:0]\n-A FORWARD -o eth0 -j ACCEPT\n%sCOMMIT\n" % "".join(
        "-A %s\n" % rule for rule in rules
    )
    assert cleanup_network.removal(saved) == "*filter\n%sCOMMIT\n" % "".join("-D %s\n" % rule for rule in rules)


class FakeHost:
    def __init__(self, answers):
        self.answers, self.ran = answers, []

    def run(self, argv, stdin=None):
        self.ran.append((argv, stdin))
        return Result(*self.answers.get(" ".join(argv), (NOT_STARTED, "")))


def never_fails(what, why):
    raise AssertionError("%s: %s" % (what, why))


def test_network_on_a_bare_host_changes_nothing():
    host, notes = FakeHost({"iptables-save": (0, KEPT)}), []
    cleanup_network.Network(host.run, lambda text: notes.append(text) or True, never_fails).clean()
    assert notes == []


def test_network_check_only_looks():
    host, notes = (
        FakeHost(
            {"iptables-save": (0, SAVED), "ip link show dev cni0": (0, "x"), "ipset list -n": (0, "KUBE-X\nmine\n")}
        ),
        [],
    )
    cleanup_network.Network(host.run, notes.append, never_fails).clean()
    assert notes == [
        "remove the cluster's chains from iptables",
        "destroy the ipset KUBE-X",
        "delete the interface cni0",
    ]
    assert not any(argv[0].endswith("-restore") or "delete" in argv or "destroy" in argv for argv, _text in host.ran)


@pytest.fixture
def work(tmp_path, monkeypatch):
    monkeypatch.setattr(owned, "PATH", str(tmp_path / "record/owned.json"))
    monkeypatch.setattr(owned, "BACKUPS", str(tmp_path / "record/before"))
    made = cleanup.Cleanup()
    made.run = lambda argv, stdin=None: Result(1)
    made.record = owned.read(owned.PATH)
    return made


def test_a_changed_program_is_left(work, tmp_path):
    (tmp_path / "tool").write_text("changed by its user")
    work.record["artifacts"][str(tmp_path / "tool")] = {"sha256": "0" * 64}
    work.remove_programs()
    assert (tmp_path / "tool").exists()
    assert work.left == [{"path": str(tmp_path / "tool"), "why": "it was changed after it was installed"}]


def test_what_stood_before_comes_back(work, tmp_path):
    (tmp_path / "config").write_text("theirs")
    owned.back_up_former(str(tmp_path / "config"), work.record)
    (tmp_path / "config").write_text("ours")
    work.remove_files()
    assert (tmp_path / "config").read_text() == "theirs"


def test_nothing_ours_is_nothing_to_do(work):
    assert not work.anything()


def test_a_mount_below_is_left(work, tmp_path, monkeypatch):
    (tmp_path / "data/inner").mkdir(parents=True)
    monkeypatch.setattr(cleanup_data, "mounts_below", lambda path: [path + "/inner"])
    work.data.remove(str(tmp_path / "data"))
    assert (tmp_path / "data/inner").exists() and "is mounted there" in work.left[0]["why"]


def test_a_tree_goes(work, tmp_path):
    (tmp_path / "data/inner").mkdir(parents=True)
    work.data.remove(str(tmp_path / "data"))
    assert not (tmp_path / "data").exists() and work.removed == ["remove %s/data" % tmp_path]


def test_a_link_to_a_data_directory_stays_and_its_target_is_emptied(work, tmp_path):
    (tmp_path / "disk/member").mkdir(parents=True)
    (tmp_path / "disk/theirs").write_text("x")
    (tmp_path / "etcd").symlink_to(tmp_path / "disk")
    work.data.remove(str(tmp_path / "etcd"), ["theirs"])
    assert os.listdir(tmp_path / "disk") == ["theirs"] and (tmp_path / "etcd").is_symlink()
    assert str(tmp_path / "disk") in work.removed[0] and "what was there before: theirs" in work.removed[0]


def test_a_mount_below_the_target_of_a_link_is_found(work, tmp_path, monkeypatch):
    (tmp_path / "disk").mkdir()
    (tmp_path / "etcd").symlink_to(tmp_path / "disk")
    monkeypatch.setattr(cleanup_data, "mount_points", lambda: ["/", "%s/disk/inner" % tmp_path])
    work.data.remove(str(tmp_path / "etcd"))
    assert work.removed == [] and work.left[0]["why"] == "%s/disk/inner is mounted there" % tmp_path


@pytest.mark.parametrize("before", [["."], ["ca.crt"]])
def test_what_was_there_before_stays(work, tmp_path, before):
    path = tmp_path / "place"
    if before == ["."]:
        path.write_text("theirs")
    else:
        path.mkdir()
        for name in ("ca.crt", "apiserver.crt"):
            (path / name).write_text("x")
    work.data.remove(str(path), before)
    assert path.exists() and (before == ["."] or os.listdir(path) == before)


def test_only_recorded_data_go(work, tmp_path):
    for name in ("ours", "theirs"):
        (tmp_path / name).mkdir()
    work.data.recorded = {str(tmp_path / "ours"): {"before": []}}
    work.remove_data()
    assert not (tmp_path / "ours").exists() and (tmp_path / "theirs").exists()


def test_data_that_the_record_does_not_name_are_left_and_said(work, tmp_path, monkeypatch):
    (tmp_path / "kubelet").mkdir()
    (tmp_path / "kubelet/pods").write_text("x")
    monkeypatch.setattr(cleanup, "of_service", lambda name: [str(tmp_path / name)])
    work.record["files"]["/etc/systemd/system/kubelet.service"] = {"backup": None}
    work.remove_data()
    assert work.left[0]["path"] == str(tmp_path / "kubelet") and "record does not say" in work.left[0]["why"]
    assert (tmp_path / "kubelet/pods").exists() and work.removed == []


@pytest.mark.parametrize("manifest", [True, False])
def test_etcd_data_go_only_with_kubeadms_etcd(work, tmp_path, monkeypatch, manifest):
    for name, path in (("ETCD_DATA", "etcd"), ("MANIFESTS", "manifests")):
        monkeypatch.setattr(cleanup_data.paths, name, str(tmp_path / path))
        (tmp_path / path).mkdir()
        work.data.recorded[str(tmp_path / path)] = {"before": []}
    (tmp_path / "etcd/default").write_text("the database of an etcd of the user's")
    if manifest:
        (tmp_path / "manifests/etcd.yaml").write_text("x")
    work.remove_data()
    assert (tmp_path / "etcd").exists() is not manifest and bool(work.left) is not manifest
    assert work.data.still_there() == ({} if manifest else {str(tmp_path / "etcd"): {"before": []}})


def test_kept_images_stay_and_so_does_what_is_known_of_them(work, tmp_path):
    for name in ("agent/images/a.tar", "agent/client.crt", "server/db"):
        (tmp_path / "k3s" / name).mkdir(parents=True)
    work.data.recorded = {str(tmp_path / "k3s"): {"before": []}}
    work.data.keep = {str(tmp_path / "k3s/agent/images")}
    work.remove_data()
    assert sorted(str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*")) == [
        "k3s",
        "k3s/agent",
        "k3s/agent/images",
        "k3s/agent/images/a.tar",
    ]
    work.finish()
    assert owned.read()["data"] == {str(tmp_path / "k3s"): {"before": []}} and owned.read()["files"] == {}


def test_a_containerd_that_others_use_too_is_not_removed(work):
    answers = {"namespaces list -q": "k8s.io\nkubewright\nmoby\nempty\n", "-n moby images list -q": "alpine\n"}
    work.run = lambda argv, stdin=None: Result(0, answers.get(" ".join(argv[3:]), ""))
    work.record["files"]["/etc/systemd/system/containerd.service"] = {"backup": None}
    with pytest.raises(OSError, match="namespace moby.*Nothing was removed yet.*ctr -n moby"):
        work.all()
    assert work.removed == []


@pytest.mark.parametrize("rc", [1, 124, 127])
def test_a_namespace_that_cannot_be_listed_is_not_empty(work, rc):
    answers = {
        "namespaces list -q": Result(0, "k8s.io\nmoby\n"),
        "-n moby containers list -q": Result(rc, "", "timeout"),
    }
    work.run = lambda argv, stdin=None: answers.get(" ".join(argv[3:]), Result(0))
    assert work.foreign_namespaces() == ["moby"]


def test_a_file_that_is_a_directory_now_is_left_and_does_not_stop_the_reset(work, tmp_path):
    for name, backup in (("config", None), ("other", "former")):
        (tmp_path / name).mkdir()
        work.record["files"][str(tmp_path / name)] = {"backup": backup and str(tmp_path / backup)}
    (tmp_path / "former").write_text("theirs")
    work.record["artifacts"][str(tmp_path / "config")] = {"sha256": "0" * 64}
    work.remove_files()
    work.remove_programs()
    assert {row["path"] for row in work.left} == {str(tmp_path / "config"), str(tmp_path / "other")}
    assert (tmp_path / "config").is_dir() and (tmp_path / "former").read_text() == "theirs"


def test_a_backup_that_the_record_does_not_name_stays(work, tmp_path):
    before = tmp_path / "record/before"
    before.mkdir(parents=True)
    (before / "etc--config").write_text("theirs")
    owned.write(work.record, owned.PATH)
    work.finish()
    assert (before / "etc--config").read_text() == "theirs" and not (tmp_path / "record/owned.json").exists()
    assert [row["path"] for row in work.left] == [str(before / "etc--config")]


def test_a_containerd_that_is_stopped_shows_its_namespaces_by_their_directories(work, tmp_path):
    root = tmp_path / "containerd"
    for name in ("k8s.io/a", "moby/b", "default"):
        (root / "io.containerd.runtime.v2.task" / name).mkdir(parents=True)
    work.data.recorded = {str(root): {"before": []}}
    assert work.foreign_namespaces() == ["moby"]


def test_only_mounts_of_pods_are_unmounted(work, monkeypatch):
    task, ran = "/run/containerd/io.containerd.runtime.v2.task/", []
    points = [task + "k8s.io/a/rootfs", task + "moby/b/rootfs", "/var/lib/kubelet/pods/c d", "/srv", "/run/k3s/x"]
    monkeypatch.setattr(cleanup, "mount_points", lambda: points)
    work.run = lambda argv, stdin=None: ran.append(argv[-1]) or Result(0)
    work.unmount()
    assert ran == ["/run/k3s/x", "/var/lib/kubelet/pods/c d", task + "k8s.io/a/rootfs"]


def test_what_killed_runs_left_beside_our_files_goes(work, tmp_path):
    (tmp_path / ".kubewright-secret").write_text("x")
    work.record["files"][str(tmp_path / "config.yaml")] = {"backup": None}
    work.remove_leftovers()
    assert not (tmp_path / ".kubewright-secret").exists()


def test_a_list_that_fails_is_said_where_the_kernel_has_such_things(tmp_path):
    left = []
    network = cleanup_network.Network(
        lambda argv, stdin=None: Result(1, "", "denied"), lambda text: True, lambda *what: left.append(what)
    )
    assert network.listed("ipsets", ["ipset"], str(tmp_path / "none")) == "" and left == []
    assert network.listed("ipsets", ["ipset"], str(tmp_path)) == ""
    assert left == [("ipsets", "they cannot be listed: denied")]


PORTS = """*nat
:CNI-DN-aaaa - [0:0]
:CNI-DN-bbbb - [0:0]
:CNI-FORWARD - [0:0]
:CNI-HOSTPORT-DNAT - [0:0]
:CNI-HOSTPORT-MASQ - [0:0]
-A PREROUTING -m addrtype --dst-type LOCAL -j CNI-HOSTPORT-DNAT
-A CNI-DN-aaaa -p tcp -m tcp --dport 80 -j DNAT --to-destination 10.42.0.9:80
-A CNI-DN-bbbb -p tcp -m tcp --dport 8080 -j CNI-HOSTPORT-MASQ
-A CNI-FORWARD -d 10.88.0.2/32 -j ACCEPT
-A CNI-HOSTPORT-DNAT -p tcp -m comment --comment "dnat name: \\"cbr0\\" id: \\"1\\"" -j CNI-DN-aaaa
%sCOMMIT
"""
THEIRS = '-A CNI-HOSTPORT-DNAT -p tcp -m comment --comment "dnat name: \\"podman\\" id: \\"2\\"" -j CNI-DN-bbbb\n'


def test_ports_of_podmans_containers_stay():
    gone = cleanup_network.removal(PORTS % THEIRS)
    assert gone.splitlines() == [
        "*nat",
        ":CNI-DN-aaaa - [0:0]",
        '-D CNI-HOSTPORT-DNAT -p tcp -m comment --comment "dnat name: \\"cbr0\\" id: \\"1\\"" -j CNI-DN-aaaa',
        "-X CNI-DN-aaaa",
        "COMMIT",
    ]


def test_ports_of_pods_go_with_the_chains_of_all_if_there_are_no_others():
    gone = cleanup_network.removal(PORTS % "")
    assert "-X CNI-HOSTPORT-DNAT" in gone and "-X CNI-DN-aaaa" in gone and "CNI-FORWARD" not in gone
    assert "-D PREROUTING -m addrtype --dst-type LOCAL -j CNI-HOSTPORT-DNAT" in gone


@pytest.mark.parametrize("prefix", ["", "KUBE-ROUTER "])
def test_rules_of_network_policies_go(prefix):
    rule = '"%srule to explicitly ACCEPT traffic that comply to network policies" -m mark --mark 0x20000/0x20000'
    rules = ["-A %s -m comment --comment %s -j ACCEPT" % (name, rule % prefix) for name in ("INPUT", "FORWARD")]
    saved = "*filter\n:INPUT ACCEPT [0:0]\n%s\n-A INPUT -j ACCEPT\nCOMMIT\n" % "\n".join(rules)
    assert cleanup_network.removal(saved) == "*filter\n%s\nCOMMIT\n" % "\n".join("-D" + line[2:] for line in rules)


def test_sets_of_both_families_go():
    names = ["KUBE-DST-A", "inet6:KUBE-SRC-B", "kube-router-x", "inet6:kube-router-y", "mine", "inet6:mine"]
    host, notes = FakeHost({"ipset list -n": (0, "\n".join(names))}), []
    cleanup_network.Network(host.run, notes.append, never_fails).sets()
    assert [note.rpartition(" ")[2] for note in notes] == names[:4]


def test_a_vpns_tunnel_is_not_kube_routers():
    shown = "7: tun-0123456789a@NONE: <POINTOPOINT>\n8: tun-office@eth0: <UP>\n9: tunl0@NONE: <NOARP>\n"
    host = FakeHost({"ip link show dev kube-bridge": (0, "x"), "ip -o link show type ipip": (0, shown)})
    host.answers["ip link delete tun-0123456789a"] = (0, "")
    cleanup_network.Network(host.run, lambda text: True, never_fails).kube_router()
    assert [argv[3] for argv, _text in host.ran if argv[:3] == ["ip", "link", "delete"]] == ["tun-0123456789a"]


def test_interfaces_that_were_there_before_stay():
    host, notes = FakeHost({"ip link show dev cni0": (0, "x"), "ip link show dev flannel.1": (0, "x")}), []
    cleanup_network.Network(host.run, notes.append, never_fails, others=["cni0"]).links()
    assert notes == ["delete the interface flannel.1"]


@pytest.mark.parametrize("family", ["-4", "-6"])
def test_routes_of_the_bridge_go_in_both_families(family):
    """kube-bridge makes routes of both, and those of IPv6 stayed."""
    host, notes = FakeHost({"ip %s route show proto 107" % family: (0, "10.244.1.0/24 via x\nfd42::/64 via y\n")}), []
    host.answers["ip %s route flush proto 107" % family] = (0, "")
    cleanup_network.Network(host.run, lambda text: notes.append(text) or True, never_fails).routes()
    assert notes == ["delete 2 routes to pods"]
    assert [argv for argv, _text in host.ran if "flush" in argv] == [["ip", family, "route", "flush", "proto", "107"]]
