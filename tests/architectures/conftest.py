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
    """Treat SIGTERM like Ctrl-C, so that a stopped run removes what it registered."""
    raise KeyboardInterrupt


def pytest_configure():
    signal.signal(signal.SIGTERM, interrupted)


def wanted(session):
    """Return the architectures of the selected tests."""
    return sorted({item.callspec.params["debian"] for item in session.items if hasattr(item, "callspec")})


@pytest.fixture(scope="session")
def missing(request):
    """Build root file systems and register emulators. Return {architecture: why it has no root file system}."""
    # This takes minutes, so show progress.
    loud = request.config.pluginmanager.getplugin("capturemanager").global_and_fixture_disabled
    names = wanted(request.session)
    with roots.cache(".lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            with loud():
                print("\nwaiting for another run of these tests on this machine", flush=True)
            fcntl.flock(lock, fcntl.LOCK_EX)
        with loud():
            failed = roots.ensure(names)
        try:
            with emulator.emulated(emulator.ARCHITECTURES[name] for name in names):
                yield failed
        except emulator.EmulationError as error:
            pytest.fail(f"This machine cannot run programs of other architectures: {error}", pytrace=False)


@pytest.fixture(scope="session")
def given(tmp_path_factory):
    """Return a directory that this machine and the containers share. It contains a file from the far future."""
    folder = tmp_path_factory.mktemp("given")
    (folder / "file").write_text("x", encoding="utf-8")
    (folder / "file").chmod(0o640)
    os.utime(folder / "file", (looks.LATER, looks.LATER))
    return folder


@pytest.fixture(scope="session")
def here(given):
    """Return the result of node_info on this machine."""
    return looks.node_info(sys.executable, {"data_paths": [str(given)], "controller_epoch": time.time()})


@pytest.fixture(scope="module", params=list(emulator.ARCHITECTURES))
def debian(request):
    """Return Debian's name of an architecture."""
    return request.param


@pytest.fixture(scope="module")
def one(debian):
    return emulator.ARCHITECTURES[debian]


@pytest.fixture(scope="module")
def found(debian, missing, given, tmp_path_factory):
    """Return the result of node_info in a container of the architecture."""
    if debian in missing:
        pytest.fail(f"There is no root file system: {missing[debian]}", pytrace=False)
    arguments = {
        "data_paths": ["/large", str(given)],
        "paths": [str(given / "file"), "/none"],
        "address_probes": ["127.0.0.1"],
    }
    return looks.inside(debian, given, tmp_path_factory.mktemp(debian), {**arguments, "controller_epoch": time.time()})
