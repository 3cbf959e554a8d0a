# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""host_reset: nothing of others, check mode, a second run, failures, a damaged record."""

from __future__ import annotations

import os

import pytest
from ansible_collections.kubewright.cluster.plugins.module_utils.base.commands import NOT_STARTED, Result
from ansible_collections.kubewright.cluster.plugins.module_utils.node import data_places, ownership, paths, services
from ansible_collections.kubewright.cluster.plugins.module_utils.reset import data, host
from ansible_collections.kubewright.cluster.plugins.modules import host_reset


@pytest.fixture
def node(tmp_path, record, monkeypatch):
    """A kubeadm node below a temporary folder: its paths, and the commands that were run."""
    ran = []
    monkeypatch.setattr(host, "EMPTY_AFTERWARDS", [str(tmp_path) + path for path in host.EMPTY_AFTERWARDS])
    for name in ("ETCD_DATA", "MANIFESTS"):
        monkeypatch.setattr(paths, name, str(tmp_path) + getattr(paths, name))
    monkeypatch.setattr(host, "image_places", lambda: [str(tmp_path) + path for path in data_places.IMAGES])
    monkeypatch.setattr(host, "LOGIND", str(tmp_path / "none"))
    monkeypatch.setattr(services.Systemd, "path", staticmethod(lambda name: "%s/units/%s.service" % (tmp_path, name)))
    monkeypatch.setattr(services, "here", services.Systemd)
    monkeypatch.setattr(paths, "KUBELET_CONF", str(tmp_path / "etc/kubernetes/kubelet.conf"))
    monkeypatch.setattr(paths, "CONTAINERD_CONFIG", str(tmp_path / "none"))
    monkeypatch.setattr(host, "pods", list)
    monkeypatch.setattr(host, "network_namespaces", set)
    monkeypatch.setattr(host, "mount_points", list)
    monkeypatch.setattr(host, "of_service", lambda _name: [])

    def run(argv, stdin=None):
        ran.append(" ".join(argv))
        return Result(0, "inactive\ndisabled\n") if argv[0] == "systemctl" else Result(NOT_STARTED, "", "not there")

    monkeypatch.setattr(host.Cleanup, "run", staticmethod(run))
    return ran


@pytest.fixture
def made(tmp_path, node):
    """What the collection and kubeadm made on it."""
    files = (
        "units/kubelet.service",
        "units/containerd.service",
        "bin/tool",
        "etc/kubernetes/pki/ca.key",
        "etc/kubernetes/manifests/etcd.yaml",
        "var/lib/etcd/member/db",
    )
    for name in files + ("etc/kubernetes/kubelet.conf", "var/lib/containerd/image", "var/lib/theirs"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("x")
    record = ownership.read()
    for name in files[:2]:
        record["files"][str(tmp_path / name)] = {"backup": None}
    record["artifacts"][str(tmp_path / "bin/tool")] = {"sha256": host.sha256(str(tmp_path / "bin/tool"))}
    places = (*data_places.KUBELET, *data_places.RUNTIME, *data_places.IMAGES)
    record["data"] = {str(tmp_path) + path.replace(str(tmp_path), ""): {"before": []} for path in places}
    record["directories"] = [str(tmp_path / "units"), str(tmp_path / "bin")]
    ownership.write(record)
    return tmp_path


def there(tmp_path):
    return sorted(str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.is_file())


def test_a_host_without_anything_of_ours_is_left(run_module, node, tmp_path):
    (tmp_path / "etc/kubernetes").mkdir(parents=True)
    (tmp_path / "etc/kubernetes/kubelet.conf").write_text("theirs")
    done = run_module(host_reset)
    assert not done["changed"] and done["removed"] == [] and node == []
    assert "reset it with the tool that made it" in str(done["warnings"]) and "etc/kubernetes/kubelet.conf" in there(
        tmp_path
    )


def test_check_mode_says_what_would_go_and_changes_nothing(run_module, made, node):
    before = there(made)
    checked = run_module(host_reset, check=True)
    assert (
        checked["changed"] and there(made) == before and not any("delete" in line or "disable" in line for line in node)
    )
    done = run_module(host_reset)
    assert [line for line in checked["removed"] if "directory" not in line] == [
        line for line in done["removed"] if "directory" not in line
    ]


def test_everything_of_ours_goes_once(run_module, made):
    done = run_module(host_reset)
    assert done["changed"] and done["left"] == [] and there(made) == ["lock", "var/lib/theirs"]
    again = run_module(host_reset)
    assert not again["changed"] and again["removed"] == []


def test_scheduled_backups_are_stopped_first_and_archives_stay(run_module, made, node, record, monkeypatch):
    stamp, archive = made / "stamp", made / "srv/backups/prod.tar.gz"
    units = [str(made / "units" / name) for name in ("kube-backup.service", "kube-backup.timer")]
    settings = str(made / "etc/settings.json")
    monkeypatch.setattr(paths, "BACKUP_UNITS", tuple(units))
    monkeypatch.setattr(paths, "BACKUP_STAMP", str(stamp))
    archive.parent.mkdir(parents=True)
    for path in (*units, settings, str(stamp), str(archive)):
        with open(path, "w", encoding="utf-8") as stream:
            stream.write("x")
    known = ownership.read()
    known["files"].update({path: {"backup": None} for path in (*units, settings)})
    ownership.write(known)
    checked = run_module(host_reset, check=True)["removed"]
    assert "stop and disable kube-backup.timer" in checked and not any("kube-backup" in line for line in node)
    done = run_module(host_reset)
    assert "stop and disable kube-backup.timer" in done["removed"] and done["left"] == []
    stopped = [line for line in node if "kube-backup" in line]
    assert stopped[:2] == ["systemctl disable --now kube-backup.timer", "systemctl stop kube-backup"]
    assert archive.exists() and not any(os.path.exists(path) for path in (*units, settings, stamp))


def test_images_and_programs_stay_for_a_quick_new_install(run_module, made, record):
    run_module(host_reset, keep_images=True, keep_programs=True)
    assert (
        {"bin/tool", "var/lib/containerd/image"} <= set(there(made)) and record()["artifacts"] and not record()["files"]
    )


def test_a_service_that_does_not_stop_fails_before_anything_is_removed(run_module, made, monkeypatch):
    def never_stops(argv, stdin=None):
        return Result(0, "active\nenabled\n") if argv[0] == "systemctl" else Result(NOT_STARTED)

    monkeypatch.setattr(host.Cleanup, "run", staticmethod(never_stops))
    before = there(made)
    failed = run_module(host_reset)
    assert (
        failed["failed"]
        and "kubelet: the service does not stop" in failed["msg"]
        and "run reset again" in failed["msg"]
    )
    assert [name for name in there(made) if name != "lock"] == before


def test_a_failure_half_way_is_finished_by_the_next_run(run_module, made, monkeypatch):
    real = data.delete

    def refuse(path):
        if path.endswith("/var/lib/etcd"):
            raise OSError(16, os.strerror(16), path)
        real(path)

    monkeypatch.setattr(data, "delete", refuse)
    failed = run_module(host_reset)
    assert (
        failed["failed"] and "var/lib/etcd: Device or resource busy" in failed["msg"] and os.path.exists(ownership.PATH)
    )
    monkeypatch.setattr(data, "delete", real)
    assert run_module(host_reset)["changed"] and there(made) == ["lock", "var/lib/theirs"]


def test_what_cannot_be_removed_is_left_and_said(run_module, made, monkeypatch):
    def run(argv, stdin=None):
        if argv[:4] == ["ip", "link", "show", "dev"] and argv[4] == "cni0":
            return Result(0)
        if argv[:3] == ["ip", "link", "delete"]:
            return Result(1, "", "operation not permitted")
        return Result(0, "inactive\n") if argv[0] == "systemctl" else Result(NOT_STARTED)

    monkeypatch.setattr(host.Cleanup, "run", staticmethod(run))
    done = run_module(host_reset)
    assert done["left"] == [{"path": "the interface cni0", "why": "operation not permitted"}]
    assert "the interface cni0 was left: operation not permitted" in str(done["warnings"])


@pytest.mark.parametrize("check", [False, True])
def test_a_damaged_record_stops_it(run_module, made, check):
    with open(ownership.PATH, "w", encoding="utf-8") as stream:
        stream.write("{")
    before = there(made)
    failed = run_module(host_reset, check=check)
    assert (
        failed["failed"]
        and "is damaged" in failed["msg"]
        and [name for name in there(made) if name != "lock"] == before
    )
