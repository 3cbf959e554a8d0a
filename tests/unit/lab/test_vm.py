# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import argparse
import os
import socket

import pytest
import yaml
from lablib.catalog import LabError
from vmlib import cli, inventory, machine, qemu


@pytest.fixture
def made(tmp_path, monkeypatch):
    monkeypatch.setattr(machine, "root", lambda: tmp_path)
    one = machine.Machine("one", 2048, 2, "/base")
    one.folder.mkdir()
    (one.folder / "port").write_text("40022")
    (one.folder / "id_ed25519.pub").write_text("ssh-ed25519 AAAA one")
    return one


def test_inventory(made):
    found = yaml.safe_load(inventory.text(made))["all"]
    assert found["children"]["kube_control_plane"]["hosts"] == {"one": {"ansible_port": 40022}}
    assert found["vars"]["ansible_ssh_private_key_file"] == str(made.folder / "id_ed25519")
    assert found["vars"]["kube_artifacts"] == {"source": f"http://{qemu.HOST}:8080"}


def test_ssh_is_forwarded_from_loopback_only(made):
    words = " ".join(map(str, qemu.command(made, made.folder, 40022)))
    assert "hostfwd=tcp:127.0.0.1:40022-" in words and words.count("hostfwd") == 1


def test_a_pid_of_another_process_is_ignored(made):
    assert made.pid() is None
    (made.folder / "pid").write_text(str(os.getpid()))
    assert made.pid() is None
    (made.folder / "pid").write_text("rubbish")
    assert made.pid() is None


@pytest.mark.parametrize(
    "log, word",
    [
        (None, "nothing"),
        ("", "nothing"),
        ("[    1.2] Linux\r\n\x1b[0;32mStarted sshd\x1b[0m\r\n\r\n", "Started sshd"),
        ("x" * 500, "x" * 120),
    ],
)
def test_last_console_line(made, log, word):
    if log is not None:
        (made.folder / "serial.log").write_text(log, newline="")
    assert made.last_console_line() == word


def test_a_missing_machine_is_reported_with_the_command_to_create_it(made):
    with pytest.raises(LabError, match="no machine two. To create it, run `vm create two`"):
        machine.load("two")
    (made.folder / "machine.json").write_text('{"memory": 2048, "cpus": 2, "base": "/base"}')
    assert machine.machines() == [made] == [machine.load("one")]


def test_wait_fails_if_the_machine_ended(made, monkeypatch):
    monkeypatch.setattr(machine, "ssh_answers", lambda _port: False)
    (made.folder / "serial.log").write_text("Kernel panic\n")
    with pytest.raises(LabError, match="one ended while booting. Last console line: Kernel panic"):
        made.wait(5)


@pytest.mark.parametrize("name", ["", "-a", "a_b", "A", "a" * 64, "a/b"])
def test_invalid_host_names(name):
    with pytest.raises(argparse.ArgumentTypeError):
        cli.host_name(name)


def test_a_silent_port_is_not_ssh():
    with socket.create_server(("127.0.0.1", 0)) as silent:
        assert not machine.ssh_answers(silent.getsockname()[1], timeout=0.1)
