# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The command line of the virtual machines."""

from __future__ import annotations

import argparse
import re
import signal
import sys

from lablib import gobuild
from lablib.catalog import LabError

from . import image, machine

NAME = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")


def host_name(text):
    """Return a valid host name. argparse calls this."""
    if not NAME.fullmatch(text):
        raise argparse.ArgumentTypeError(f"{text!r} is not a valid host name")
    return text


def create(options):
    """Create a machine unless it exists."""
    image.check_host()
    made = machine.Machine(options.name, options.memory, options.cpus, board=options.board)
    if (made.folder / "machine.json").exists():
        print(f"{made.name} already exists")
        return
    if made.folder.exists():
        made.destroy()  # left by a create that was interrupted
    made.create()
    print(f"created {made.name} in {made.folder}")


def start(options):
    """Start a machine and wait until SSH works."""
    found = machine.load(options.name)
    if found.pid() is None:
        found.start()
    seconds = found.wait(options.wait)
    print(f"{found.name} accepts SSH at 127.0.0.1:{found.port} after {seconds:.0f} s")


def stop(options):
    """Shut a machine down."""
    machine.load(options.name).stop(options.wait)
    print(f"{options.name} is stopped")


def destroy(options):
    """Delete a machine."""
    found = machine.Machine(options.name)
    if found.folder.exists():
        found.destroy()
    print(f"{options.name} is deleted")


def status(options):
    """List the machines."""
    for found in [machine.load(options.name)] if options.name else machine.machines():
        pid = found.pid()
        state = f"runs as process {pid}, SSH at 127.0.0.1:{found.port}" if pid else "is stopped"
        print(f"{found.name} {state}; {found.cpus} CPUs, {found.memory} MiB")


def inventory(options):
    """Print the path of the inventory."""
    path = machine.load(options.name).folder / "inventory.yml"
    if not path.exists():
        raise LabError(f"{options.name} has no inventory yet: run `vm start {options.name}` first.")
    print(path)


def parser():
    """Return the argument parser."""
    top = argparse.ArgumentParser(prog="vm", description="Virtual machines for tests, emulated where there is no KVM.")
    commands = top.add_subparsers(required=True, metavar="COMMAND")
    for function in (create, start, stop, destroy, status, inventory):
        command = commands.add_parser(function.__name__, help=function.__doc__, description=function.__doc__)
        command.set_defaults(function=function)
        command.add_argument("name", type=host_name, nargs="?" if function is status else None)
        if function is create:
            command.add_argument("--memory", type=int, default=3072, help="MiB (default: %(default)s)")
            command.add_argument("--board", action="store_true", help="boot like a Raspberry Pi, from cmdline.txt")
            command.add_argument("--cpus", type=int, default=2, help="(default: %(default)s)")
        if function in (start, stop):
            seconds = 600 if function is start else 120
            command.add_argument("--wait", type=int, default=seconds, help="seconds to wait (default: %(default)s)")
    return top


def interrupted(*_):
    """Handle SIGTERM. A running build is stopped first: its failure then cleans up and ends this process."""
    if not gobuild.RUNNING:
        sys.exit(143)
    gobuild.stop()


def main():
    """Run a command and return the exit code."""
    options = parser().parse_args()
    signal.signal(signal.SIGTERM, interrupted)
    try:
        options.function(options)
    except LabError as error:
        print(f"vm: {error}", file=sys.stderr)
        return 1
    return 0
