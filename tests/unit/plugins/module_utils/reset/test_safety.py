# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What reset must never do: lose another's file when it is run again after a kill, or take another's cluster along."""

from __future__ import annotations

import json
import os

import pytest
from ansible_collections.kubewright.cluster.plugins.module_utils.base.commands import Result
from ansible_collections.kubewright.cluster.plugins.module_utils.node import ownership as owned, services
from ansible_collections.kubewright.cluster.plugins.module_utils.reset import (
    data as cleanup_data,
    host as cleanup,
    network as cleanup_network,
)


@pytest.fixture
def work(tmp_path, monkeypatch):
    monkeypatch.setattr(owned, "PATH", str(tmp_path / "record/owned.json"))
    monkeypatch.setattr(owned, "BACKUPS", str(tmp_path / "record/before"))
    made = cleanup.Cleanup()
    made.run = lambda argv, stdin=None: Result(1)
    made.record = owned.read(owned.PATH)
    return made


def test_a_second_reset_after_a_kill_keeps_the_file_brought_back(work, tmp_path):
    config = tmp_path / "config"
    config.write_text("theirs")
    owned.back_up_former(str(config), work.record)
    config.write_text("ours")
    work.remove_files()
    work.remove_files()
    assert config.read_text() == "theirs"


def test_a_second_reset_after_a_kill_keeps_the_program_brought_back(work, tmp_path):
    tool = tmp_path / "tool"
    tool.write_text("theirs")
    owned.back_up_former(str(tool), work.record)
    entry = {"backup": work.record["files"].pop(str(tool))["backup"]}
    tool.write_text("ours")
    work.record["artifacts"][str(tool)] = dict(entry, sha256=cleanup.sha256(str(tool)))
    work.remove_programs()
    work.remove_programs()
    assert tool.read_text() == "theirs" and work.left == []


def test_a_changed_program_is_not_overwritten_by_what_stood_there_before(work, tmp_path):
    tool = tmp_path / "tool"
    tool.write_text("theirs")
    owned.back_up_former(str(tool), work.record)
    entry = {"backup": work.record["files"].pop(str(tool))["backup"]}
    tool.write_text("changed by its user")
    work.record["artifacts"][str(tool)] = dict(entry, sha256="0" * 64)
    work.remove_programs()
    work.finish()
    assert tool.read_text() == "changed by its user"
    assert os.path.exists(entry["backup"]) and entry["backup"] in work.left[0]["why"]


def test_owner_of_what_stood_before_comes_back(work, tmp_path):
    if os.getuid():
        pytest.skip("needs root")
    config = tmp_path / "config"
    config.write_text("theirs")
    os.chown(config, 12345, 12346)
    os.chmod(config, 0o640)
    owned.back_up_former(str(config), work.record)
    config.unlink()
    config.write_text("ours")
    work.remove_files()
    info = os.stat(config)
    assert (info.st_uid, info.st_gid, info.st_mode & 0o777) == (12345, 12346, 0o640)


def test_another_cluster_on_a_host_whose_kernel_settings_are_ours_is_left(work, tmp_path, monkeypatch):
    """The role node alone was used here; kubelet, etcd and containerd are others_serve else's."""
    work.record["files"]["/etc/modules-load.d/kubewright-test.conf"] = {"backup": None}
    gone, ran = [], []
    monkeypatch.setattr(work.data, "remove", lambda path, before: gone.append(path))
    monkeypatch.setattr(work, "run", lambda argv, stdin=None: ran.append(argv) or Result(1))
    work.all()
    assert gone == []
    assert not any(argv[0] in ("umount", "nft", "ip", "ipset") or "iptables" in argv[0] for argv in ran)


def test_the_record_goes_last(work, tmp_path, monkeypatch):
    owned.write(work.record, owned.PATH)
    (tmp_path / "record/bridge").mkdir()
    (tmp_path / "record/before").mkdir()
    real, order = os.unlink, []
    monkeypatch.setattr(os, "unlink", lambda path, **more: order.append(str(path)) or real(path, **more))
    work.finish()
    assert order[-1] == owned.PATH and not (tmp_path / "record").exists()


def test_a_service_that_does_not_stop_ends_the_reset(work, monkeypatch):
    monkeypatch.setattr(services, "here", services.Systemd)
    work.record["files"]["/etc/systemd/system/kubelet.service"] = {"backup": None}
    work.run = lambda argv, stdin=None: Result(0, "active\nenabled\n")
    with pytest.raises(OSError, match="does not stop"):
        work.stop_units()


def test_what_is_left_for_a_mount_is_not_said_to_be_removed(work, tmp_path, monkeypatch):
    (tmp_path / "data/inner").mkdir(parents=True)
    monkeypatch.setattr(cleanup_data, "mounts_below", lambda path: [path + "/inner"])
    work.data.remove(str(tmp_path / "data"))
    assert work.removed == [] and work.left


def test_lost_and_found_stays_on_a_volume(work, tmp_path, monkeypatch):
    (tmp_path / "etcd/lost+found").mkdir(parents=True)
    (tmp_path / "etcd/member").mkdir()
    monkeypatch.setattr(os.path, "ismount", lambda path: str(path).endswith("/etcd"))
    work.data.remove(str(tmp_path / "etcd"))
    assert os.listdir(tmp_path / "etcd") == ["lost+found"]
    removed = list(work.removed)
    work.data.remove(str(tmp_path / "etcd"))
    assert work.removed == removed


SAVED = """*nat
:PREROUTING ACCEPT [7:9]
:KUBE-SERVICES - [0:0]
:MINE - [0:0]
-A PREROUTING -m comment --comment "kubernetes service portals" -j KUBE-SERVICES
-A PREROUTING -p tcp -m comment --comment "not -j KUBE- at all" -j MINE
-A KUBE-SERVICES -d 10.96.0.1/32 -j KUBE-SVC-X
COMMIT
*filter
:INPUT ACCEPT [0:0]
COMMIT
"""


def test_only_our_rules_are_named_to_iptables():
    """Others' rules are not written anew: their counters stay, and a rule added meanwhile is not lost."""
    assert cleanup_network.removal(SAVED) == (
        "*nat\n:KUBE-SERVICES - [0:0]\n"
        '-D PREROUTING -m comment --comment "kubernetes service portals" -j KUBE-SERVICES\n'
        "-X KUBE-SERVICES\nCOMMIT\n"
    )
    assert cleanup_network.removal("*filter\n:INPUT ACCEPT [0:0]\nCOMMIT\n") == ""


def test_routes_to_k3s_pods_go_and_others_stay():
    said, ran = [], []

    def run(argv, stdin=None):
        ran.append(" ".join(argv))
        shown = (
            "default via 10.0.0.1 dev eth0\n10.42.1.0/24 via 10.0.0.12 dev eth0\n"
            "10.43.0.0/24 via 10.0.0.9 dev eth0\n10.42.0.0/24 dev cni0\n10.42.0.0/16 via 10.0.0.2 dev eth0\n"
        )
        six = (
            "fd42:0:0:1::/64 via fd00::12 dev eth0 metric 1024 pref medium\n"
            "fd00::/64 dev eth0 proto kernel metric 256 pref medium\n"
        )
        answers = {("-4", "route", "show"): Result(0, shown), ("-6", "route", "show"): Result(0, six)}
        return answers.get(tuple(argv[1:]), Result(1, "", "no such route"))

    left = []
    network = cleanup_network.Network(
        run, lambda text: not said.append(text), lambda *what: left.append(what), ["10.42.0.0/16", "fd42::/56"]
    )
    network.routes()
    assert left == [
        ("the route 10.42.1.0/24 via 10.0.0.12 dev eth0", "no such route"),
        ("the route fd42:0:0:1::/64 via fd00::12 dev eth0", "no such route"),
    ]
    assert said == [
        "delete the route 10.42.1.0/24 via 10.0.0.12 dev eth0",
        "delete the route fd42:0:0:1::/64 via fd00::12 dev eth0",
    ]
    done = [line for line in ran if " delete " in line]
    assert done == [
        line.replace("delete the route", "ip -%d route delete" % family) for line, family in zip(said, (4, 6))
    ]


def test_a_mount_point_that_is_no_utf8_does_not_stop_the_reset(tmp_path, monkeypatch):
    text = b"/dev/sdb /srv/\\x81l\\xff ext4 rw 0 0\n/dev/sdc /data/inner\\040disk ext4 rw 0 0\n"
    (tmp_path / "mounts").write_bytes(text.replace(b"\\x81", b"\x81").replace(b"\\xff", b"\xff"))
    real = open
    monkeypatch.setattr(cleanup_data, "open", lambda _path, **how: real(tmp_path / "mounts", **how), raising=False)
    assert cleanup_data.mounts_below("/data") == ["/data/inner disk"]


@pytest.mark.parametrize(
    ("text", "path"), [("/srv/k3s", "/srv/k3s"), (r"/srv/k3s\040data/x", "/srv/k3s data/x"), (r"/a\134b", r"/a\b")]
)
def test_a_mount_point_with_a_blank_is_found(text, path):
    assert cleanup_data._unescaped(text) == path


ALWAYS = ["stop_units", "remove_data", "restore_settings", "remove_programs", "remove_files", "remove_leftovers"]
ALWAYS += ["remove_directories", "finish"]
PODS = ["stop_pods", "unmount"]


@pytest.mark.parametrize(
    ("units", "more"),
    [
        (["containerd", "kubelet"], ["check_namespaces", *PODS, "network"]),
        (["containerd"], ["check_namespaces", *PODS]),
        # Docker and its containerd may be beside it: nobody asks that one.
        (["k3s"], [*PODS, "network"]),
        (["k3s-agent"], [*PODS, "network"]),
        # Another tool's kubelet and containerd keep their pods and their network.
        (["kube-endpoint"], []),
        ([], []),
    ],
)
def test_only_our_services_lose_their_pods_and_network(work, monkeypatch, units, more):
    done = []
    for name in ("check_namespaces", *PODS, *ALWAYS):
        monkeypatch.setattr(work, name, lambda name=name: done.append(name))
    network = type("Network", (), {"__init__": lambda *_: None, "clean": lambda _self: done.append("network")})
    monkeypatch.setattr(cleanup, "Network", network)
    work.record["files"] = {services.Systemd.path(name): {"backup": None} for name in units}
    work.all()
    assert sorted(done) == sorted([*ALWAYS, *more])
    assert [name for name in done if name in ("check_namespaces", "stop_units")][-1] == "stop_units"


@pytest.mark.parametrize(("rc", "left"), [(0, []), (1, [{"path": "swap", "why": "no such device"}])])
def test_a_change_that_fails_is_said(work, rc, left):
    work.run = lambda argv, stdin=None: Result(rc, "", "no such device")
    work.change("swap", ["swapon", "-a"])
    assert work.left == left


def test_check_mode_ends_no_pod_and_unmounts_nothing(work, monkeypatch):
    work.check, work.run = True, None
    monkeypatch.setattr(cleanup, "pods", lambda: [4711])
    monkeypatch.setattr(cleanup.os, "kill", None)
    monkeypatch.setattr(cleanup, "mount_points", lambda: ["/var/lib/kubelet/pods/a"])
    work.stop_pods()
    work.unmount()
    assert work.removed == ["end 1 processes of pods", "unmount 1 file systems of pods"]


@pytest.mark.parametrize(("ends", "left"), [(True, []), (False, ["processes of pods"])])
def test_processes_of_pods_are_ended(work, monkeypatch, ends, left):
    killed = []
    monkeypatch.setattr(cleanup, "pods", lambda: [] if killed and ends else [4711])
    monkeypatch.setattr(cleanup.os, "kill", lambda pid, number: killed.append((pid, number)))
    monkeypatch.setattr(cleanup.time, "sleep", lambda _seconds: None)
    work.stop_pods()
    assert killed[0] == (4711, cleanup.signal.SIGKILL) and [row["path"] for row in work.left] == left


def test_no_process_of_a_pod_is_nothing_to_do(work, monkeypatch):
    monkeypatch.setattr(cleanup, "pods", list)
    work.stop_pods()
    assert work.removed == []


@pytest.mark.parametrize("check", [False, True])
def test_settings_come_back_and_check_mode_only_says_so(work, tmp_path, monkeypatch, check):
    ran = []
    work.check, work.run = check, lambda argv, stdin=None: ran.append(" ".join(argv)) or Result(0)
    values = {"net.a": "1", "net.b": "0", "net.gone": None}
    monkeypatch.setattr(cleanup.os_settings, "sysctl_value", values.get)
    monkeypatch.setattr(cleanup.os_settings, "sysctl_path", lambda name: str(tmp_path / name))
    monkeypatch.setattr(cleanup.os.path, "isdir", lambda path: path == "/sys/module/overlay")
    monkeypatch.setattr(cleanup.paths, "FSTAB", str(tmp_path / "fstab"))
    swap_line = "/dev/b none swap sw\n"
    (tmp_path / "fstab").write_text(cleanup.os_settings.MARK + swap_line)
    work.record["settings"] = {
        "sysctls": dict.fromkeys(values, "0"),
        "modules": ["overlay", "built-in"],
        "swap": {"fstab": True, "units": ["dev-b.swap"]},
    }
    work.restore_settings()
    assert work.removed == [
        "restore the swap lines of %s" % (tmp_path / "fstab"),
        "unmask dev-b.swap",
        "turn swap on",
        "unload the module overlay",
        "set net.a back to 0",
    ]
    if check:
        assert ran == [] and sorted(os.listdir(tmp_path)) == ["fstab"]
        assert (tmp_path / "fstab").read_text() != swap_line
    else:
        commands = ["unmask dev-b.swap", "daemon-reload", "start dev-b.swap"]
        assert [line for line in ran if line.startswith("systemctl")] == ["systemctl " + line for line in commands]
        assert "swapon -a" in ran and "modprobe -r overlay" in ran
        assert (tmp_path / "net.a").read_text() == "0" and (tmp_path / "fstab").read_text() == swap_line
    work.removed.clear()
    if not check:
        work.record["settings"].pop("sysctls")
        work.record["settings"].pop("modules")
        work.restore_settings()
        assert "restore the swap lines of %s" % (tmp_path / "fstab") not in work.removed


def test_check_mode_changes_nothing_of_a_network_that_has_everything():
    """Every command that looks finds something of the cluster's."""
    tables = [{"table": {"family": family, "name": name}} for family, name in cleanup_network.traces.NFT_TABLES]
    answers = {
        "iptables-save": SAVED,
        "ip6tables-save": SAVED,
        "nft": json.dumps({"nftables": tables}),
        "ipset": "KUBE-A\n",
        "ip": "10.42.1.0/24 via 10.0.0.12 dev eth0\n7: tun-0123456789a@NONE: <POINTOPOINT>\n",
    }
    looks, notes = ("-save", "list", "show"), []

    def run(argv, stdin=None):
        assert stdin is None and any(look in word for look in looks for word in argv), argv
        return Result(0, answers[argv[0]])

    cleanup_network.Network(run, notes.append, None, pods=["10.42.0.0/16"]).clean()
    kinds = {note.split()[0] + " " + note.split()[-1] for note in notes}
    assert {"remove iptables", "remove ip6tables", "destroy KUBE-A", "delete rule", "delete cni0"} <= kinds
    assert sum(note.startswith("delete the nftables table") for note in notes) == len(tables)
    assert "delete the route 10.42.1.0/24 via 10.0.0.12 dev eth0" in notes


def test_nothing_of_a_network_is_nothing_to_do():
    """Each command answers, and finds what is not the cluster's."""
    answers = {"iptables-save": "*nat\n-A X -j Y\n", "nft": '{"nftables": [{"table": {"family": "ip", "name": "x"}}]}'}
    notes = []

    def run(argv, stdin=None):
        missing = argv[:3] == ["ip", "link", "show"]
        return Result(1 if missing else 0, answers.get(argv[0], ""))

    cleanup_network.Network(run, notes.append, None, pods=["10.42.0.0/16"]).clean()
    assert notes == []
