# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Tests of the role local on this machine's engine: two clusters, and a container that does not belong to them.

pytest tests/lab/nodes        (needs Podman or Docker as root; creates and removes the clusters testa and testb)
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

PLAYBOOK = Path(__file__).parents[3] / "playbooks" / "local.yml"
CACHE = Path(os.environ.get("KUBEWRIGHT_CACHE") or Path.home() / ".cache" / "kubewright")
ENGINE = shutil.which("podman") or shutil.which("docker")

pytestmark = pytest.mark.skipif(not ENGINE or os.geteuid() != 0, reason="needs Podman or Docker, and root")


def engine(*arguments):
    return subprocess.run([ENGINE, *arguments], capture_output=True, text=True, check=False)


def local(name, state="present", check=False, fails=False, **inputs):
    """Run the playbook and return (number of changed tasks, output)."""
    given = json.dumps(
        dict({f"local_{key}": value for key, value in inputs.items()}, local_name=name, local_state=state)
    )
    command = ["ansible-playbook", str(PLAYBOOK), "-e", given] + (["--check"] if check else [])
    environment = dict(os.environ, ANSIBLE_NOCOLOR="1", ANSIBLE_LOCALHOST_WARNING="false")
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    assert (done.returncode != 0) == fails, done.stdout + done.stderr
    return done.stdout.count("changed: ["), done.stdout + done.stderr


def inventory(name):
    return CACHE / "clusters" / name / "inventory.yml"


def addresses(name):
    groups = yaml.safe_load(inventory(name).read_text())["all"]["children"]
    return {node: facts["ansible_host"] for group in groups.values() for node, facts in group["hosts"].items()}


def on(name, command):
    """Run a command on every node of a cluster over SSH and return {node: standard output}."""
    done = subprocess.run(
        ["ansible", "-i", str(inventory(name)), "all", "-m", "ansible.builtin.shell", "-a", command],
        capture_output=True, text=True, check=False, env=dict(os.environ, ANSIBLE_NOCOLOR="1"),
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    _before, *parts = re.split(r"^(\S+) \| \w+ \| rc=0 >>\n", done.stdout, flags=re.MULTILINE)
    return {host: text.strip() for host, text in zip(parts[::2], parts[1::2], strict=True)}


@pytest.fixture(scope="module")
def clusters():
    """Create two clusters, and another container with the name of a node that does not exist yet."""
    local("testa", control_planes=1, workers=1)
    local("testb", ports=["127.0.0.1:18022:22"], vars={"kube_cluster_name": "mine"}, memory="1g")
    image = engine("inspect", "--format", "{{.Config.Image}}", "testa-cp1").stdout.strip()
    foreign = engine("create", "--name", "testb-w1", "--network", "kubewright", image, "true").stdout.strip()
    yield
    local("testa", "absent")
    local("testb", "absent")
    left = engine("ps", "--all", "--format", "{{.Names}}").stdout.split()
    engine("rm", "--volumes", foreign)
    assert [name for name in left if name.startswith("test")] == ["testb-w1"]


def test_nodes_are_separate_machines(clusters):
    shown = on(
        "testa",
        "systemctl is-system-running; cat /etc/machine-id; hostname; test -c /dev/kmsg; systemd-run -q --wait true; id -un",
    )
    assert {lines.split("\n")[0] for lines in shown.values()} == {"running"}
    assert len({lines.split("\n")[1] for lines in shown.values()}) == 2
    assert {node: lines.split("\n")[2] for node, lines in shown.items()} == {node: node for node in shown}
    assert on("testb", "journalctl --boot --no-pager | wc -l")["testb-cp1"] != "0"


def test_each_node_has_its_own_control_groups(clusters):
    on("testa", "systemd-run --quiet --unit only-here-$(hostname) sleep 60")
    seen = on(
        "testa",
        "ls -d /sys/fs/cgroup/*/system.slice/only-here-* /sys/fs/cgroup/system.slice/only-here-* 2>/dev/null | xargs -n1 basename | sort -u",
    )
    assert seen == {node: f"only-here-{node}.service" for node in seen}
    assert "only-here" not in on("testb", "find /sys/fs/cgroup -maxdepth 4 -name 'only-here*'")["testb-cp1"]


def test_addresses_do_not_collide(clusters):
    both = list(addresses("testa").values()) + list(addresses("testb").values())
    assert len(set(both)) == 3


def test_a_second_run_and_check_mode_change_nothing(clusters):
    assert local("testa", control_planes=1, workers=1)[0] == 0
    assert local("testa", control_planes=1, workers=1, check=True)[0] == 0
    assert local("testa", control_planes=1, workers=2, check=True)[0] > 0
    assert engine("inspect", "testa-w2").returncode != 0


def test_ports_variables_and_limits(clusters):
    facts = yaml.safe_load(inventory("testb").read_text())["all"]["vars"]
    assert facts["kube_cluster_name"] == "mine"
    shown = subprocess.run(
        ["bash", "-c", "head -c 4 < /dev/tcp/127.0.0.1/18022"], capture_output=True, text=True, check=False
    )
    assert shown.stdout == "SSH-"
    assert engine("inspect", "--format", "{{.HostConfig.Memory}}", "testb-cp1").stdout.strip() == str(2**30)


def test_private_files_are_private(clusters):
    assert {
        oct(path.stat().st_mode & 0o777) for path in (inventory("testa"), inventory("testa").with_name("id_ed25519"))
    } == {"0o600"}


def test_stop_and_start_keep_address_identity_and_data(clusters):
    before = (addresses("testa"), on("testa", "touch /var/lib/etcd/kept; cat /etc/machine-id; hostname -I"))
    local("testa", "stopped")
    assert engine("inspect", "--format", "{{.State.Running}}", "testa-cp1").stdout.strip() == "false"
    assert engine("inspect", "--format", "{{.State.Running}}", "testb-cp1").stdout.strip() == "true"
    assert local("testa", "stopped")[0] == 0
    local("testa", "started")
    assert (
        addresses("testa"),
        on("testa", "ls /var/lib/etcd/kept > /dev/null; cat /etc/machine-id; hostname -I"),
    ) == before
    assert set(on("testa", "systemctl is-system-running --wait").values()) == {"running"}


def test_a_run_works_after_a_container_was_restarted(clusters):
    engine("restart", "testa-w1")
    assert local("testa", control_planes=1, workers=1)[0] == 0
    assert on("testa", "true").keys() == addresses("testa").keys()


def test_a_lost_node_is_created_again(clusters):
    engine("rm", "--force", "--volumes", "testa-w1")
    assert "Made testa-w1" in local("testa", control_planes=1, workers=1)[1]
    assert "testa-w1" in on("testa", "true")


def test_a_lost_key_is_renewed(clusters):
    for path in inventory("testa").parent.glob("id_ed25519*"):
        path.unlink()
    assert "gave a new key" in local("testa", control_planes=1, workers=1)[1].lower()
    assert len(on("testa", "true")) == 2


def test_other_containers_are_not_touched(clusters):
    before = engine("inspect", "--format", "{{.Id}} {{.State.Status}}", "testb-w1").stdout
    output = local("testb", workers=1, fails=True)[1]
    assert "testb-w1" in output and "by this collection" in output
    assert engine("inspect", "--format", "{{.Id}} {{.State.Status}}", "testb-w1").stdout == before


def test_bad_input_is_one_message_and_changes_nothing(clusters):
    nodes = [{"name": "x", "ports": ["nonsense"]}, {"name": "x"}, {"name": "A_b"}]
    output = local("testc", nodes=nodes, fails=True)[1]
    for part in ("nonsense", "two entries have the name x", "A_b"):
        assert part in output
    assert engine("inspect", "x").returncode != 0


def test_listing(clusters):
    changed, output = local("testa", "listed")
    assert changed == 0 and "testa: 2 of 2" in output and "testb: 1 of 1" in output


def test_a_missing_image_is_reported(clusters, tmp_path):
    output = local(
        "testb", images=[str(tmp_path / "not-there.tar")], ports=["127.0.0.1:18022:22"], memory="1g", fails=True
    )[1]
    assert "not-there.tar" in output
