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


def test_the_inventory_leads_to_the_machine_and_to_the_labs_servers(made):
    found = yaml.safe_load(inventory.text(made))["all"]
    assert found["children"]["kube_control_plane"]["hosts"] == {"one": {"ansible_port": 40022}}
    assert found["vars"]["ansible_ssh_private_key_file"] == str(made.folder / "id_ed25519")
    assert found["vars"]["kube_artifacts"] == {"source": f"http://{qemu.HOST}:8080"}


def test_ssh_is_let_in_on_loopback_alone(made):
    words = " ".join(map(str, qemu.command(made, made.folder, 40022)))
    assert "hostfwd=tcp:127.0.0.1:40022-" in words and words.count("hostfwd") == 1


def test_the_number_of_a_process_may_be_anothers_by_now(made):
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
def test_the_last_word_of_a_console(made, log, word):
    if log is not None:
        (made.folder / "serial.log").write_text(log, newline="")
    assert made.last_word() == word


def test_a_machine_that_is_not_there_is_said_with_what_makes_it(made):
    with pytest.raises(LabError, match="no machine two. To create it, run `vm create two`"):
        machine.load("two")
    (made.folder / "machine.json").write_text('{"memory": 2048, "cpus": 2, "base": "/base"}')
    assert machine.machines() == [made] == [machine.load("one")]


def test_a_machine_that_ended_is_not_waited_for(made, monkeypatch):
    monkeypatch.setattr(machine, "greets", lambda _port: False)
    (made.folder / "serial.log").write_text("Kernel panic\n")
    with pytest.raises(LabError, match="one ended while booting. Last line of its console: Kernel panic"):
        made.wait(5)


@pytest.mark.parametrize("name", ["", "-a", "a_b", "A", "a" * 64, "a/b"])
def test_what_is_no_host_name(name):
    with pytest.raises(argparse.ArgumentTypeError):
        cli.host_name(name)


def test_a_server_that_says_nothing_does_not_greet():
    with socket.create_server(("127.0.0.1", 0)) as silent:
        assert not machine.greets(silent.getsockname()[1], timeout=0.1)
