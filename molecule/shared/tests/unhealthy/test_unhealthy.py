# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A verification that fails says why, and leaves a support bundle."""

from __future__ import annotations

import os
import subprocess
import tarfile
import time
from pathlib import Path

PLAIN = {**os.environ, "ANSIBLE_NOCOLOR": "1", "ANSIBLE_FORCE_COLOR": "0"}


def test_a_failed_verification_says_why_and_leaves_a_bundle(tmp_path, kubectl):
    inventory = Path(os.environ["MOLECULE_INVENTORY_FILE"]).parent
    wanted = {
        "verify_image": "registry.k8s.io/no-such-image:1",
        "verify_timeout": "10",
        "verify_bundle_dir": str(tmp_path),
    }
    options = [word for name, value in wanted.items() for word in ("-e", f"{name}={value}")]
    command = ["ansible-playbook", "kubewright.cluster.verify", "-i", str(inventory), *options]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=PLAIN)
    output = done.stdout + done.stderr
    assert done.returncode == 2, output
    assert "The cluster is not healthy: " in output and "A support bundle is in " in output, output
    (bundle,) = tmp_path.glob("kubewright-support-*.tar.gz")
    with tarfile.open(bundle) as archive:
        assert any(name.endswith("/journal/kubelet.log") for name in archive.getnames())
    # The namespace of the test pods is deleted without waiting for it.
    deadline = time.monotonic() + 60
    while any(item["metadata"]["name"].startswith("kubewright-verify") for item in kubectl("namespaces")):
        assert time.monotonic() < deadline, "the test pods are still there"
        time.sleep(1)
