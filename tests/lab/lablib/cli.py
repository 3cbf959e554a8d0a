# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The commands of `lab`."""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys

from . import catalog, gobuild, jobs, k3s, make, pin, services
from .catalog import LabError

EPILOG = "What is made is kept in $KUBEWRIGHT_CACHE (default ~/.cache/kubewright)."


def build(options):
    """Makes what is missing."""
    kubernetes = catalog.chosen(catalog.versions(), options.kubernetes)
    named = f"Kubernetes {', '.join(kubernetes)} ({options.arch})"
    with catalog.locked("build"):
        todo = make.plan(kubernetes, options.arch, options.source, options.registry)
        if options.k3s or not options.kubernetes:
            known = {job.name for job in todo}
            # One release of K3s is enough: the oldest that is asked for.
            todo += [job for job in k3s.plan(kubernetes[0], options.arch) if job.name not in known]
        if not todo:
            print(f"{named}: all there")
            return 0
        print(f"{named}: {len(todo)} things to make in {catalog.cache()}", flush=True)
        make.clear_leftovers()
        if jobs.Runner(todo).run():
            return 0
    print("some could not be made: see above; the same command goes on where it stopped", file=sys.stderr)
    return 1


def up(_options):
    """Starts the servers and fills the registry."""
    with catalog.locked("up"):
        services.up()
    return 0


def down(_options):
    """Stops the servers."""
    services.down()
    return 0


def status(_options):
    """What runs, and what is in the cache."""
    running, _digest = services.state()
    known = {True: "up", False: "stopped", None: "down"}
    print(
        f"servers: {known[running]}"
        + (f", {services.address(services.subnet())} on the nodes' network" if running else "")
    )
    table = catalog.versions()
    for version in catalog.chosen(table, []):
        todo = make.plan([version], catalog.host_arch(), make.MODULES)
        print(
            f"Kubernetes {version}: "
            + ("built" if not todo else f"{len(todo)} things missing: " + ", ".join(job.name for job in todo))
        )
    return 0 if running else 1


def facts(_options):
    """What others have to know, as JSON."""
    print(json.dumps(services.facts(), indent=2))
    return 0


def pinned(options):
    """Writes go.mod and go.sum for a version."""
    pin.add(options.component, options.version.lstrip("v"))
    return 0


def parser():
    """The command line."""
    top = argparse.ArgumentParser(
        prog="lab", description="Builds and serves what the lab's clusters are made of.", epilog=EPILOG
    )
    commands = top.add_subparsers(dest="command", required=True)
    one = commands.add_parser("build", help="make programs, artifacts and images that are not in the cache yet")
    one.set_defaults(run=build)
    one.add_argument(
        "--kubernetes",
        action="append",
        default=[],
        metavar="VERSION",
        help="a version or a minor; default: all of versions.json",
    )
    one.add_argument(
        "--arch", default=catalog.host_arch(), help="Go's name of an architecture; images are made for this host's only"
    )
    one.add_argument(
        "--source",
        default=make.AUTO,
        help="modules (Go's proxy), upstream (its downloads), the URL of a mirror or a directory of the same layout;"
        " auto, the default: upstream where it can be reached",
    )
    one.add_argument(
        "--upstream", dest="source", action="store_const", const="upstream", help="the same as --source upstream"
    )
    one.add_argument(
        "--k3s", action="store_true", help="K3s (its stand-in, or K3S_ARTIFACTS) of the first of these versions; made by default where none is named"
    )
    one.add_argument("--registry", help="copy the images from this registry, host:port, instead of making them")
    for name, function, text in (
        ("up", up, "start the registry and the artifact server, push what the registry does not have"),
        ("down", down, "stop them; the cache stays"),
        ("status", status, "what runs and what is built"),
        ("facts", facts, "addresses and versions as JSON"),
    ):
        commands.add_parser(name, help=text).set_defaults(run=function)
    one = commands.add_parser("pin", help="add a version: go.mod, go.sum and the table")
    one.set_defaults(run=pinned)
    one.add_argument("component")
    one.add_argument("version")
    return top


def interrupted(*_arguments):
    """SIGTERM is taken like the interrupt key."""
    raise KeyboardInterrupt


def main(arguments=None):
    """Runs a command; what a user can put right is one message."""
    options = parser().parse_args(arguments)
    signal.signal(signal.SIGTERM, interrupted)
    try:
        return options.run(options)
    except LabError as error:
        print(f"lab: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        gobuild.stop()
        print("lab: stopped", file=sys.stderr)
        # The workers' threads are left where they are.
        os._exit(130)
