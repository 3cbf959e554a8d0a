# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Plan the jobs that build what some Kubernetes versions need."""

from __future__ import annotations

import shutil

from . import artifacts, catalog, gobuild, images, rootfs, upstream
from .components import COMPONENTS
from .jobs import Job

MODULES, AUTO = "modules", "auto"
ROOT_SECONDS = 25


def default_source():
    """Return the source of programs: upstream's downloads if they are reachable, otherwise Go modules."""
    return gobuild.UPSTREAM if upstream.reachable() else MODULES


def published(name, version, arch):
    """Return True if upstream publishes a component's programs as files and not only in an image."""
    return bool(artifacts.artifacts(name, version, arch))


def current(name, version, arch, source):
    """Return True if the cache has a component's programs from the requested source."""
    found = gobuild.built(name, version, arch)
    if source == AUTO:
        return found in (gobuild.UPSTREAM, gobuild.key(name, version))
    if source == MODULES or not published(name, version, arch):
        return found == gobuild.key(name, version)
    return found == gobuild.UPSTREAM


def program_job(name, version, arch, source):
    """Return the job that builds or downloads a component and writes its artifacts."""
    built = source == MODULES or not published(name, version, arch)

    def run():
        if not built:
            upstream.get(source, name, version, arch)
            return
        gobuild.build(name, version, arch)
        artifacts.layout(name, version, arch)

    return Job(f"{name} {version}", run, COMPONENTS[name].seconds if built else 15)


def layout_job(name, version, arch):
    """Return the job that writes the artifacts of programs in the cache."""
    return Job(f"artifacts of {name} {version}", lambda: artifacts.layout(name, version, arch), 2)


def image_job(image, arch, copied, registry):
    """Return the job that builds an image from cached programs, or copies upstream's image."""
    if copied:
        return Job(image.ref, lambda: upstream.copy_image(image, arch, registry), 5)
    needs = tuple(f"{name} {version}" for name, version in image.builds)
    needs += (f"root file system {image.root}",) if image.root else ()
    return Job(image.ref, lambda: images.make(image, arch), 1, needs)


def clear_leftovers():
    """Remove leftovers of killed builds and create the build directory."""
    catalog.cache("build").mkdir(parents=True, exist_ok=True)
    for path in [*catalog.cache("build").glob(".new-*"), *catalog.cache("images").glob("**/.new-*")]:
        shutil.rmtree(path, ignore_errors=True)
    for path in catalog.cache("artifacts").glob("**/.new-*"):
        shutil.rmtree(path, ignore_errors=True)


def root_jobs(arch):
    """Return the jobs for missing root file systems."""
    missing = [name for name in rootfs.ROOTS if not rootfs.path(name, arch).exists()]
    return [
        Job(f"root file system {name}", lambda name=name: rootfs.make(name, arch), ROOT_SECONDS) for name in missing
    ]


def image_is_there(image, arch, source, copied):
    """Return True if the cache has an image from the requested source."""
    if not images.made(image, arch):
        return False
    return source == AUTO or copied == (images.record(image, arch)["key"] == gobuild.UPSTREAM)


def missing(wanted, of_all, arch, source, copied):
    """Return the (components, images) that are missing from the cache or come from another source."""
    components = [pair for pair in wanted if not current(*pair, arch, source)]
    stale = [image for image in of_all if not image_is_there(image, arch, source, copied)]
    if copied:
        components = [pair for pair in components if published(*pair, arch)]
    return components, stale


def plan(kubernetes, arch, source=AUTO, registry=None):
    """Return the jobs for what is not in the cache yet. Images are built for the host's architecture only."""
    table = catalog.versions()
    wanted, own = catalog.builds(table, kubernetes), arch == catalog.host_arch()
    found = {image.ref: image for version in kubernetes for image in images.images(table, version)}
    of_all = list(found.values()) if own else []
    copied = source == gobuild.UPSTREAM or bool(registry)
    components, stale = missing(wanted, of_all, arch, source, copied)
    if source == AUTO and (components or stale):
        source = default_source()
        copied = copied or source == gobuild.UPSTREAM
        components = [pair for pair in components if published(*pair, arch) or not copied]
    jobs = [program_job(*pair, arch, source) for pair in components]
    jobs[1:1] = root_jobs(arch) if own else []
    kept = [pair for pair in wanted if pair not in components and gobuild.built(*pair, arch)]
    jobs += [layout_job(*pair, arch) for pair in kept if not artifacts.placed(*pair, arch)]
    # Images are quick to build, so each one is built as soon as its programs exist.
    return [image_job(image, arch, copied, registry) for image in stale] + jobs
