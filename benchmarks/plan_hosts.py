# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Measure the playbook plan for many simulated hosts. No machines are needed.

    python benchmarks/plan_hosts.py 65 500 1000 2000
    python benchmarks/plan_hosts.py --profile 500

Runs a copy of the collection whose node_info returns prepared facts instead of connecting to a host. Everything else is
unchanged.
"""

from __future__ import annotations

import argparse
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
COPIED = ("plugins", "roles", "playbooks", "meta", "galaxy.yml")
# Appended to the action plugin node_info: returns facts without running the module.
FAKE = """
from ansible_collections.kubewright.cluster.plugins.plugin_utils.recorded import machines  # once, not in each worker


def _recorded(self, arguments, task_vars):
    host = task_vars["inventory_hostname"]
    number = task_vars["recorded_number"]
    facts = machines.machine(host, "10.%d.%d.%d" % (number // 62500, number // 250 % 250, number % 250 + 1))
    facts["machine_id"] = "%032x" % number
    facts["network"]["interfaces"][0]["addresses"][0]["prefix"] = 8
    facts["network"]["routes"][1]["dst"] = "10.0.0.0/8"
    return {"changed": False, "node": facts}


ActionModule._module = _recorded
"""


def collection(folder: Path) -> None:
    """Copy the collection and replace node_info."""
    target = folder / "ansible_collections" / "kubewright" / "cluster"
    target.mkdir(parents=True)
    for name in COPIED:
        source = ROOT / name
        copy = shutil.copytree if source.is_dir() else shutil.copy
        copy(source, target / name)
    recorded = target / "plugins" / "plugin_utils" / "recorded"
    recorded.mkdir()
    shutil.copy(ROOT / "tests" / "unit" / "plugins" / "plugin_utils" / "machines.py", recorded)
    with open(target / "plugins" / "action" / "node_info.py", "a", encoding="utf-8") as stream:
        stream.write(FAKE)


def inventory(path: Path, hosts: int) -> None:
    """Write an inventory with five control planes; the other hosts are workers."""
    names = [f"cp-{number}" for number in range(1, 6)] + [f"w-{number}" for number in range(1, hosts - 4)]
    lines = ["[kube_control_plane]", *names[:5], "[kube_node]", *names[5:], "[all]"]
    lines += [f"{name} ansible_host=10.0.0.1 recorded_number={number}" for number, name in enumerate(names)]
    lines += ["[all:vars]", "kube_pod_cidrs=['172.16.0.0/12']", "kube_service_cidrs=['192.168.0.0/16']", ""]
    path.write_text("\n".join(lines), encoding="utf-8")


def measure(folder: Path, hosts: int, options: argparse.Namespace) -> bool:
    """Plan the given number of hosts and print the time and memory. Return True if it succeeded."""
    path = folder / f"{hosts}.ini"
    inventory(path, hosts)
    (folder / "ansible.cfg").write_text("[defaults]\n", encoding="utf-8")
    environment = {
        **os.environ,
        "ANSIBLE_CONFIG": str(folder / "ansible.cfg"),
        "ANSIBLE_COLLECTIONS_PATH": str(folder),
        **({"ANSIBLE_CALLBACKS_ENABLED": "ansible.posix.profile_tasks"} if options.profile else {}),
    }
    command = ["ansible-playbook", "kubewright.cluster.plan", "-i", str(path), "--forks", str(options.forks)]
    before, started = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    done = subprocess.run(
        command, cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
    )
    seconds, after = time.monotonic() - started, resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    lines = done.stdout.splitlines()
    good = done.returncode == 0 and not any(line.startswith("refused:") for line in lines)
    print(
        "%5d hosts: %.1f s, CPU %.1f s, %d MiB, %d lines of output%s"
        % (hosts, seconds, cpu, after.ru_maxrss / 1024, len(lines), "" if good else ", FAILED"),
        flush=True,
    )
    if options.profile or not good:
        print("\n".join(lines[-40:]))
    return good


def main() -> None:
    """Measure each number of hosts."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("hosts", nargs="*", type=int, default=[65, 500, 1000, 2000])
    parser.add_argument("--forks", type=int, default=50)
    parser.add_argument("--profile", action="store_true", help="print profile_tasks and the end of the output")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="kubewright-plan-") as folder:
        collection(Path(folder))
        went_well = [measure(Path(folder), hosts, options) for hosts in options.hosts]
    sys.exit(0 if all(went_well) else 1)


if __name__ == "__main__":
    main()
