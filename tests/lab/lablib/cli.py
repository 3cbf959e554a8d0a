# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The command line of `lab`."""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys

from . import catalog, gobuild, jobs, k3s, make, pin, private, services
from .catalog import LabError

EPILOG = "Everything is kept in $KUBEWRIGHT_CACHE (default ~/.cache/kubewright)."


def build(options):
    """Build what is missing from the cache."""
    kubernetes = catalog.chosen(catalog.versions(), options.kubernetes)
    named = f"Kubernetes {', '.join(kubernetes)} ({options.arch})"
    with catalog.locked("build"):
        todo = make.plan(kubernetes, options.arch, options.source, options.registry)
        if options.k3s or not options.kubernetes:
            for version in kubernetes:
                known = {job.name for job in todo}
                todo += [job for job in k3s.plan(version, options.arch) if job.name not in known]
        if not todo:
            print(f"{named}: everything is built")
            return 0
        print(f"{named}: {len(todo)} items to build in {catalog.cache()}", flush=True)
        make.clear_leftovers()
        if jobs.Runner(todo).run():
            return 0
    print("Some builds failed, see above. Run the same command again to continue.", file=sys.stderr)
    return 1


def up(_options):
    """Start the servers and fill the registry."""
    with catalog.locked("up"):
        services.up()
    return 0


def private_up(_options):
    """Start the private registry too."""
    with catalog.locked("up"):
        private.up()
    return 0


def down(_options):
    """Stop the servers."""
    private.down()
    services.down()
    return 0


def status(_options):
    """Print what runs and what is in the cache."""
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
            + ("built" if not todo else f"{len(todo)} items missing: " + ", ".join(job.name for job in todo))
        )
    return 0 if running else 1


def facts(_options):
    """Print addresses and versions as JSON."""
    print(json.dumps(services.facts(), indent=2))
    return 0


def pinned(options):
    """Write go.mod and go.sum for a version."""
    pin.add(options.component, options.version.lstrip("v"))
    return 0


def parser():
    """Return the argument parser."""
    top = argparse.ArgumentParser(
        prog="lab", description="Build and serve the programs and images of the lab's clusters.", epilog=EPILOG
    )
    commands = top.add_subparsers(dest="command", required=True)
    one = commands.add_parser("build", help="build programs, artifacts and images that are not in the cache yet")
    one.set_defaults(run=build)
    one.add_argument(
        "--kubernetes",
        action="append",
        default=[],
        metavar="VERSION",
        help="a version or a minor version; default: those in versions.json that are not in only_if_named",
    )
    one.add_argument(
        "--arch", default=catalog.host_arch(), help="Go's name of an architecture; images are built for the host's only"
    )
    one.add_argument(
        "--source",
        default=make.AUTO,
        help="modules (the Go module proxy), upstream (its downloads), the URL of a mirror, or a directory with the"
        " same layout; default: auto, which is upstream if it is reachable, otherwise modules",
    )
    one.add_argument(
        "--upstream", dest="source", action="store_const", const="upstream", help="the same as --source upstream"
    )
    one.add_argument(
        "--k3s",
        action="store_true",
        help="also build K3s (the stand-in, or K3S_ARTIFACTS) for the first version; default without --kubernetes",
    )
    one.add_argument("--registry", help="copy the images from this registry (host:port) instead of building them")
    for name, function, text in (
        ("up", up, "start the registry and the artifact server, and push missing images"),
        ("private", private_up, "the same, and a second registry with HTTPS, its own CA and token logins"),
        ("down", down, "stop them; the cache is kept"),
        ("status", status, "show what runs and what is built"),
        ("facts", facts, "print addresses and versions as JSON"),
    ):
        commands.add_parser(name, help=text).set_defaults(run=function)
    one = commands.add_parser("pin", help="add a version: write go.mod, go.sum and versions.json")
    one.set_defaults(run=pinned)
    one.add_argument("component")
    one.add_argument("version")
    return top


def interrupted(*_arguments):
    """Treat SIGTERM like Ctrl-C."""
    raise KeyboardInterrupt


def main(arguments=None):
    """Run a command and return the exit code. Errors that the user can fix are printed as one message."""
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
        # Exit without waiting for the worker threads.
        os._exit(130)
