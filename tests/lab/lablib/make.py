# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What has to be made for some Kubernetes versions, as jobs in the order in which a user wants them."""

from __future__ import annotations

import shutil

from . import artifacts, catalog, gobuild, images, rootfs, upstream
from .components import COMPONENTS
from .jobs import Job

MODULES, AUTO = "modules", "auto"
ROOT_SECONDS = 25


def settled():
    """Where programs come from: upstream's downloads where they can be reached, Go modules where not."""
    return gobuild.UPSTREAM if upstream.reachable() else MODULES


def published(name, version, arch):
    """Whether upstream publishes a component's programs other than in an image."""
    return bool(artifacts.artifacts(name, version, arch))


def current(name, version, arch, source):
    """Whether a component's programs are in the cache, from where they should be."""
    found = gobuild.built(name, version, arch)
    if source == AUTO:
        return found in (gobuild.UPSTREAM, gobuild.key(name, version))
    if source == MODULES or not published(name, version, arch):
        return found == gobuild.key(name, version)
    return found == gobuild.UPSTREAM


def program_job(name, version, arch, source):
    """Builds or downloads one component, and lays its artifacts out."""
    built = source == MODULES or not published(name, version, arch)

    def run():
        if not built:
            upstream.get(source, name, version, arch)
            return
        gobuild.build(name, version, arch)
        artifacts.layout(name, version, arch)

    return Job(f"{name} {version}", run, COMPONENTS[name].seconds if built else 15)


def layout_job(name, version, arch):
    """Lays out the artifacts of programs that are there."""
    return Job(f"artifacts of {name} {version}", lambda: artifacts.layout(name, version, arch), 2)


def image_job(image, arch, copied, registry):
    """Makes an image from programs of the cache, or copies upstream's."""
    if copied:
        return Job(image.ref, lambda: upstream.copy_image(image, arch, registry), 5)
    needs = tuple(f"{name} {version}" for name, version in image.builds)
    needs += (f"root file system {image.root}",) if image.root else ()
    return Job(image.ref, lambda: images.make(image, arch), 1, needs)


def clear_leftovers():
    """Takes away what a killed build left half done, and makes the place for new ones."""
    catalog.cache("build").mkdir(parents=True, exist_ok=True)
    for path in [*catalog.cache("build").glob(".new-*"), *catalog.cache("images").glob("**/.new-*")]:
        shutil.rmtree(path, ignore_errors=True)
    for path in catalog.cache("artifacts").glob("**/.new-*"):
        shutil.rmtree(path, ignore_errors=True)


def root_jobs(arch):
    """The root file systems that are missing."""
    missing = [name for name in rootfs.ROOTS if not rootfs.path(name, arch).exists()]
    return [
        Job(f"root file system {name}", lambda name=name: rootfs.make(name, arch), ROOT_SECONDS) for name in missing
    ]


def image_is_there(image, arch, source, copied):
    """Whether an image is in the cache, from where it should be."""
    if not images.made(image, arch):
        return False
    return source == AUTO or copied == (images.record(image, arch)["key"] == gobuild.UPSTREAM)


def missing(wanted, of_all, arch, source, copied):
    """(components, images) that are not in the cache as they should be."""
    components = [pair for pair in wanted if not current(*pair, arch, source)]
    stale = [image for image in of_all if not image_is_there(image, arch, source, copied)]
    if copied:
        components = [pair for pair in components if published(*pair, arch)]
    return components, stale


def plan(kubernetes, arch, source=AUTO, registry=None):
    """The jobs for what is not in the cache yet. Images are the host's: what is pushed has one architecture."""
    table = catalog.versions()
    wanted, own = catalog.builds(table, kubernetes), arch == catalog.host_arch()
    found = {image.ref: image for version in kubernetes for image in images.images(table, version)}
    of_all = list(found.values()) if own else []
    copied = source == gobuild.UPSTREAM or bool(registry)
    components, stale = missing(wanted, of_all, arch, source, copied)
    if source == AUTO and (components or stale):
        source = settled()
        copied = copied or source == gobuild.UPSTREAM
        components = [pair for pair in components if published(*pair, arch) or not copied]
    jobs = [program_job(*pair, arch, source) for pair in components]
    jobs[1:1] = root_jobs(arch) if own else []
    kept = [pair for pair in wanted if pair not in components and gobuild.built(*pair, arch)]
    jobs += [layout_job(*pair, arch) for pair in kept if not artifacts.placed(*pair, arch)]
    # An image is quick to make, and wanted as soon as its programs are there.
    return [image_job(image, arch, copied, registry) for image in stale] + jobs
