# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""node_info in containers of other architectures, run by their own Python."""

from __future__ import annotations

import fcntl
import os
import signal
import sys
import time
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "lab"), str(HERE.parent / "lab" / "vm")]
sys.path[:0] = os.environ["ANSIBLE_COLLECTIONS_PATH"].split(":")

import emulator
import looks
import roots


def interrupted(*_arguments):
    """A stopped run takes away what it registered, as an interrupted one does."""
    raise KeyboardInterrupt


def pytest_configure():
    signal.signal(signal.SIGTERM, interrupted)


def wanted(session):
    """The architectures that this run was asked for."""
    return sorted({item.callspec.params["debian"] for item in session.items if hasattr(item, "callspec")})


@pytest.fixture(scope="session")
def missing(request):
    """Root file systems are made and the emulators registered; by architecture why there is no root file system."""
    # Minutes without a word look like a hang.
    loud = request.config.pluginmanager.getplugin("capturemanager").global_and_fixture_disabled
    names = wanted(request.session)
    with roots.cache(".lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            with loud():
                print("\nanother run of these tests is at work: waiting for it", flush=True)
            fcntl.flock(lock, fcntl.LOCK_EX)
        with loud():
            failed = roots.have(names)
        try:
            with emulator.emulated(emulator.ARCHITECTURES[name] for name in names):
                yield failed
        except emulator.EmulationError as error:
            pytest.fail(f"programs of other architectures do not run here: {error}", pytrace=False)


@pytest.fixture(scope="session")
def given(tmp_path_factory):
    """A directory that this machine and the emulated ones have in common, and a file of the far future in it."""
    folder = tmp_path_factory.mktemp("given")
    (folder / "file").write_text("x", encoding="utf-8")
    (folder / "file").chmod(0o640)
    os.utime(folder / "file", (looks.LATER, looks.LATER))
    return folder


@pytest.fixture(scope="session")
def here(given):
    """What node_info says of this machine itself."""
    return looks.node_info(sys.executable, {"data_paths": [str(given)], "controller_epoch": time.time()})


@pytest.fixture(scope="module", params=list(emulator.ARCHITECTURES))
def debian(request):
    """Debian's name of an architecture."""
    return request.param


@pytest.fixture(scope="module")
def one(debian):
    return emulator.ARCHITECTURES[debian]


@pytest.fixture(scope="module")
def found(debian, missing, given, tmp_path_factory):
    """What node_info says in a container of the architecture."""
    if debian in missing:
        pytest.fail(f"no root file system: {missing[debian]}", pytrace=False)
    arguments = {"data_paths": ["/large", str(given)], "paths": [str(given / "file"), "/none"], "address_probe": "127.0.0.1"}
    return looks.inside(debian, given, tmp_path_factory.mktemp(debian), {**arguments, "controller_epoch": time.time()})
