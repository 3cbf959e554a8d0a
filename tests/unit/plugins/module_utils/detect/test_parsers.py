# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The parsers: what they make of the files of other machines than the recorded ones, and of any text at all."""

from __future__ import annotations

import contextlib
from concurrent.futures import ThreadPoolExecutor

import pytest
from ansible_collections.kubewright.cluster.plugins.module_utils.api import tls as https
from ansible_collections.kubewright.cluster.plugins.module_utils.detect import (
    cluster,
    disks,
    hardware,
    host,
    live,
    look as node,
    network,
    network_proc as netfiles,
    renewal,
    software,
    system,
    virtualization as place,
)
from ansible_collections.kubewright.cluster.tests.unit.fixtures.recording import Files
from hypothesis import given, settings, strategies as st

GIB = 2**30
MACHINE = {"machine": "x86_64", "release": "6.1.0", "pointer_bits": 64}
ELF32, ELF64 = b"\x7fELF\x01", b"\x7fELF\x02"
V1_UNLIMITED = "9223372036854771712\n"
ROUTES4 = """Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT
eth0\t00000000\t0100650A\t0003\t0\t0\t100\t00000000\t0\t0\t0
eth0\t0000650A\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0
"""
TRIE = """Main:
  +-- 10.101.0.0/24 2 0 2
     |-- 10.101.0.10
        /32 host LOCAL
     |-- 10.101.0.255
        /32 link BROADCAST
  |-- 127.0.0.1
     /32 host LOCAL
"""


@pytest.mark.parametrize(
    "raw, head, name, bits",
    [
        ("x86_64", ELF64, "amd64", 64),
        ("x86_64", ELF32, "386", 32),
        ("aarch64", ELF64, "arm64", 64),
        ("aarch64", ELF32, "arm", 32),
        ("armv7l", ELF32, "arm", 32),
        ("armv6l", ELF32, "arm", 32),
        ("i686", ELF32, "386", 32),
        ("ppc64le", ELF64, "ppc64le", 64),
        ("s390x", ELF64, "s390x", 64),
        ("riscv64", ELF64, "riscv64", 64),
        ("x86_64", b"#!/bin", "amd64", 64),
    ],
)
def test_architecture(raw, head, name, bits):
    found = hardware.architecture(Files({"/bin/sh": head}), dict(MACHINE, machine=raw))
    assert found == {"name": name, "raw": raw, "bits": bits}


@pytest.mark.parametrize(
    "own, files, limit",
    [
        ("0::/a/b\n", {"/sys/fs/cgroup/a/b/memory.max": "max\n", "/sys/fs/cgroup/a/memory.max": "1073741824\n"}, GIB),
        ("0::/\n", {"/sys/fs/cgroup/memory.max": "2147483648\n"}, 2 * GIB),
        ("0::/\n", {"/sys/fs/cgroup/memory.max": "max\n"}, None),
        ("4:memory:/docker/1\n", {"/sys/fs/cgroup/memory/memory.limit_in_bytes": "1073741824\n"}, GIB),
        ("4:memory:/x\n", {"/sys/fs/cgroup/memory/x/memory.limit_in_bytes": V1_UNLIMITED}, None),
        ("4:memory:/\n0::/y\n", {"/sys/fs/cgroup/memory/memory.limit_in_bytes": "1073741824"}, GIB),
        ("", {}, None),
    ],
)
def test_memory_limit(own, files, limit):
    assert hardware.memory_limit(Files(files), own) == limit
    found = hardware.memory(
        Files(dict(files, **{"/proc/meminfo": "MemTotal:  8388608 kB\nMemAvailable: 1024 kB\n"})), own
    )
    assert found["usable_bytes"] == (limit or 8 * GIB) and found["available_bytes"] == 2**20


def test_huge_pages_are_not_usable():
    text = "MemTotal:  8388608 kB\nHugePages_Total: 3072\nHugepagesize: 2048 kB\nHugetlb: 6291456 kB\n"
    found = hardware.memory(Files({"/proc/meminfo": text}), "")
    assert (found["total_bytes"], found["usable_bytes"]) == (8 * GIB, 2 * GIB)


@pytest.mark.parametrize(
    "own, files, count, limit",
    [
        ("0::/\n", {"/sys/fs/cgroup/cpu.max": "150000 100000\n"}, 1, 1.5),
        ("0::/\n", {"/sys/fs/cgroup/cpu.max": "max 100000\n"}, 8, None),
        ("0::/\n", {"/sys/fs/cgroup/cpu.max": "10000 100000\n"}, 1, 0.1),
        (
            "2:cpu,cpuacct:/\n",
            {"/sys/fs/cgroup/cpu/cpu.cfs_quota_us": "300000", "/sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000"},
            3,
            3.0,
        ),
        (
            "2:cpu:/\n",
            {"/sys/fs/cgroup/cpu/cpu.cfs_quota_us": "-1", "/sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000"},
            8,
            None,
        ),
    ],
)
def test_cpus(own, files, count, limit):
    files["/sys/devices/system/cpu/online"] = "0-3,8-15"
    assert hardware.cpus(Files(files), own, 8) == {"count": count, "host_count": 12, "limit": limit}


def test_a_list_of_more_processors_than_any_kernel_has_is_not_believed():
    assert hardware.cpu_list("0-511") == 512 and hardware.cpu_list("0-999999999") == 0


def test_swap_that_a_container_is_lent_is_virtual():
    host = Files({"/proc/swaps": "Filename Type Size Used Priority\nnone virtual 524288 0 0\n"})
    (device,) = hardware.swap(host)["devices"]
    assert (device["kind"], device["size_bytes"]) == ("virtual", 512 << 20)


def test_swap_that_cannot_be_read_is_unknown():
    class Closed(Files):
        def read(self, path, *_limit):
            return None

    host = Closed({"/proc/swaps": "Filename Type Size Used Priority\n"})
    assert hardware.swap(host)["total_bytes"] is None
    assert host.warnings and "unknown" in sorted(host.warnings)[0]
    assert hardware.swap(Files())["total_bytes"] == 0


def test_swap():
    swaps = "Filename Type Size Used Priority\n/dev/zram0 partition 1024 0 100\n/swap\\040file file 2048 0 -2\n"
    fstab = "# /dev/x none swap sw 0 0\nUUID=1 none swap sw 0 0\n/dev/a / ext4 defaults 0 1\n"
    found = hardware.swap(Files({"/proc/swaps": swaps, "/etc/fstab": fstab}))
    assert found["total_bytes"] == 3 * 2**20 and found["fstab"] == ["UUID=1 none swap sw 0 0"]
    assert [(one["kind"], one["name"]) for one in found["devices"]] == [("zram", "/dev/zram0"), ("file", "/swap file")]


@pytest.mark.parametrize(
    "device, files, links, kind",
    [
        ("/dev/nvme0n1p2", {"nvme0n1/nvme0n1p2/partition": "2"}, {"nvme0n1p2": "nvme0n1/nvme0n1p2"}, "nvme"),
        (
            "/dev/mmcblk0p2",
            {"mmcblk0/mmcblk0p2/partition": "2", "mmcblk0/device/type": "SD\n"},
            {"mmcblk0p2": "mmcblk0/mmcblk0p2"},
            "sd",
        ),
        ("/dev/mmcblk1", {"mmcblk1/device/type": "MMC\n"}, {"mmcblk1": "mmcblk1"}, "emmc"),
        ("/dev/sda", {"sda/queue/rotational": "1\n"}, {"sda": "sda"}, "hdd"),
        ("/dev/sda", {"sda/queue/rotational": "0\n"}, {"sda": "sda"}, "ssd"),
        ("/dev/sda", {"sda/queue/rotational": "1\n", "sda/device/vendor": "VMware"}, {"sda": "sda"}, "virtual"),
        ("/dev/vda", {"vda/queue/rotational": "1\n"}, {"vda": "vda"}, "virtual"),
        (
            "/dev/dm-0",
            {"dm-0/slaves/sda": "", "dm-0/slaves/sdb": "", "sda/queue/rotational": "0", "sdb/queue/rotational": "1"},
            {"dm-0": "dm-0", "sda": "sda", "sdb": "sdb"},
            "hdd",
        ),
        ("tank/data", {}, {}, "unknown"),
    ],
)
def test_disk_kind(device, files, links, kind):
    tree = {"/sys/devices/" + name: text for name, text in files.items()}
    tree["/proc/mounts"] = "%s / ext4 rw 0 0\ntmpfs /run tmpfs rw 0 0\n" % device
    real = {"/sys/class/block/" + name: "/sys/devices/" + target for name, target in links.items()}
    found = disks.disks(Files(tree, real), ["/var/lib/etcd", "/run/x"])
    assert found["/var/lib/etcd"]["kind"] == kind and found["/var/lib/etcd"]["mount"] == "/"


def test_options_and_versions_of_file_systems():
    tree = {
        "/proc/mounts": "a / ext4 rw 0 0\nb /opt xfs rw,nodev,noexec 0 0\nc /data zfs ro,xattr 0 0\n",
        "/sys/module/zfs/version": "2.1.11-1\n",
        "/opt/cni/bin/bridge": "",
        "/data/x/y": "",
    }
    found = disks.disks(Files(tree), ["/opt/cni/bin", "/data/x", "/usr/local/bin"])
    assert [row["noexec"] for row in found.values()] == [True, False, False]
    assert [row["read_only"] for row in found.values()] == [False, True, False]
    assert [row.get("fs_version") for row in found.values()] == [None, "2.1.11-1", None]


@pytest.mark.parametrize(
    ("text", "family"),
    [
        ('ID="openEuler"', "redhat"),
        ("ID=kylin", "redhat"),
        ("ID=kylin\nID_LIKE=debian", "debian"),
        ("ID=anolis\nID_LIKE='rhel fedora centos'", "redhat"),
        ("ID=uos", "redhat"),
        ("ID=manjaro\nID_LIKE=arch", "arch"),
        ("ID=postmarketos\nID_LIKE=alpine", "alpine"),
        ("ID=opensuse-microos\nID_LIKE='suse opensuse'", "suse"),
        ("ID=ol\nID_LIKE=fedora", "redhat"),
        ("ID=raspbian\nID_LIKE=debian", "debian"),
        ("ID=nixos", "other"),
    ],
)
def test_families_of_operating_systems(text, family):
    assert system.release(Files({"/etc/os-release": text}))["family"] == family


@pytest.mark.parametrize(("text", "allowed"), [("1 1\n", True), ("0 0\n", False), ("0 1\n", False), (None, None)])
def test_the_boolean_of_selinux_for_haproxy(text, allowed):
    files = {"/sys/fs/selinux/enforce": "1"}
    files.update({"/sys/fs/selinux/booleans/haproxy_connect_any": text} if text else {})
    assert system.security(Files(files))["selinux_haproxy"] is allowed


@pytest.mark.parametrize(("mounts", "read_only"), [("a / ext4 ro 0 0\n", True), ("a / ext4 rw 0 0\n", False)])
def test_usr_is_read_only_by_its_mount_and_not_by_who_asks(mounts, read_only):
    assert system.usr_read_only(Files({"/proc/mounts": mounts})) is read_only


def test_covering_mount_is_the_last_of_the_longest():
    table = disks.mounts("a / ext4 rw 0 0\nb /var ext4 rw 0 0\nc /var xfs ro 0 0\nd /var/lib2 ext4 rw 0 0\n")
    assert disks.mount_of(table, "/var/lib") == ("/var", "c", "xfs", ("ro",))


@pytest.mark.parametrize(
    "files, kind",
    [
        ({"/run/.containerenv": ""}, "podman"),
        ({"/.dockerenv": ""}, "docker"),
        ({"/proc/1/environ": "A=1\0container=lxc\0"}, "lxc"),
        ({"/run/systemd/container": "systemd-nspawn\n"}, "systemd-nspawn"),
        ({"/proc/sys/kernel/osrelease": "5.15.167.4-microsoft-standard-WSL2\n"}, "wsl"),
        ({"/proc/1/cgroup": "1:name=systemd:/lxc/ct1\n"}, "lxc"),
        ({"/proc/1/environ": "container=oci\0"}, "other"),
        ({}, None),
    ],
)
def test_container(files, kind):
    assert place.container(Files(files)) == kind


DMI = "/sys/class/dmi/id/"


@pytest.mark.parametrize(
    "files, kind",
    [
        ({DMI + "sys_vendor": "VMware, Inc."}, "vmware"),
        ({DMI + "sys_vendor": "Microsoft Corporation", DMI + "product_name": "Virtual Machine"}, "hyperv"),
        ({DMI + "sys_vendor": "Microsoft Corporation", DMI + "product_name": "Surface Pro"}, None),
        ({DMI + "sys_vendor": "QEMU"}, "kvm"),
        ({DMI + "sys_vendor": "QEMU", "/proc/cpuinfo": "model name : QEMU TCG CPU version 2.5+\n"}, "qemu"),
        ({DMI + "sys_vendor": "Amazon EC2", DMI + "product_name": "m5.large"}, "kvm"),
        ({DMI + "sys_vendor": "Amazon EC2", DMI + "product_name": "m5.metal"}, None),
        ({DMI + "sys_vendor": "Dell Inc."}, None),
        ({"/sys/hypervisor/type": "xen\n"}, "xen"),
        ({"/sys/firmware/acpi/tables/DSDT": b"DSDTS\0\0\0\2wFIRECKFCVMDSDT"}, "firecracker"),
        ({"/proc/sysinfo": "VM00 Control Program: KVM/Linux       \n"}, "kvm"),
        ({"/proc/sysinfo": "VM00 Control Program: z/VM    7.2.0   \n"}, "other"),
        ({"/proc/cpuinfo": "flags : fpu hypervisor sse\n"}, "other"),
    ],
)
def test_virtual_machine(files, kind):
    assert place.virtual_machine(Files(files)) == kind


def test_raspberry_pi():
    files = {"/proc/device-tree/model": "Raspberry Pi 4 Model B Rev 1.4\0", "/boot/firmware/cmdline.txt": "x"}
    found = place.board(Files(files))
    assert found["raspberry_pi"] and found["model"] == "Raspberry Pi 4 Model B Rev 1.4"
    assert found["cmdline_file"] == "/boot/firmware/cmdline.txt"


def test_the_file_that_firmware_reads():
    moved = "DO NOT EDIT THIS FILE\n\nThe file you are looking for has moved to /boot/firmware/cmdline.txt\n"
    boot = {"/proc/sys/kernel/random/boot_id": "one\n"}
    found = place.board(Files({"/boot/cmdline.txt": moved, **boot}))
    assert (found["cmdline_file"], found["cmdline_next"], found["boot"]) == (None, None, None)
    ubuntu = {
        "/boot/firmware/cmdline.txt": "left over\n",
        "/boot/firmware/current/cmdline.txt": "quiet splash\n# more\n",
    }
    found = place.board(Files({"/boot/cmdline.txt": moved, **ubuntu, **boot}))
    assert found["cmdline_file"] == "/boot/firmware/current/cmdline.txt"
    assert (found["cmdline_next"], found["boot"]) == ("quiet splash", "one")


def test_where_the_journal_is():
    machine = {"/etc/machine-id": "ab\n"}
    assert place.board(Files(machine))["journal"] is None
    assert place.board(Files({**machine, "/run/log/journal/ab/system.journal": ""}))["journal"] == "memory"


@pytest.mark.parametrize(
    "mounts, version",
    [
        ("cgroup2 /sys/fs/cgroup cgroup2 rw 0 0\n", "v2"),
        ("cgroup /sys/fs/cgroup/memory cgroup rw 0 0\n", "v1"),
        ("cgroup /sys/fs/cgroup/memory cgroup rw 0 0\nc /sys/fs/cgroup/unified cgroup2 rw 0 0\n", "hybrid"),
        ("", None),
    ],
)
def test_cgroup(mounts, version):
    assert system.cgroup(Files({"/proc/mounts": mounts}))["version"] == version


def test_modules():
    files = {
        "/proc/modules": "overlay 1 0 - Live 0x0\n",
        "/proc/sys/net/netfilter/nf_conntrack_max": "1",
        "/lib/modules/6.1.0/modules.builtin": "kernel/net/ipv4/netfilter/ip_tables.ko\n",
        "/lib/modules/6.1.0/modules.dep": "kernel/net/bridge/br_netfilter.ko.xz: kernel/net/bridge/bridge.ko\n",
    }
    found = system.modules(Files(files), "6.1.0")
    wanted = {"overlay": "loaded", "nf_conntrack": "builtin", "ip_tables": "builtin", "br_netfilter": "available"}
    assert {name: found[name] for name in wanted} == wanted and found["vxlan"] == "missing"
    assert system.modules(Files(), "6.1.0")["vxlan"] == "unknown"


def test_resolver_behind_the_stub():
    files = {
        "/etc/resolv.conf": "nameserver 127.0.0.53\n",
        "/run/systemd/resolve/resolv.conf": "nameserver 9.9.9.9\nsearch a b\n",
    }
    found = system.resolver(Files(files))
    assert found["resolv_conf"] == "/run/systemd/resolve/resolv.conf" and not found["loopback"]
    assert (found["nameservers"], found["search"]) == (["9.9.9.9"], ["a", "b"])
    assert system.resolver(Files({"/etc/resolv.conf": "nameserver 127.0.0.1\n"}))["loopback"]


def test_network_without_ip():
    files = {"/proc/net/route": ROUTES4, "/proc/net/fib_trie": TRIE}
    for name in ("eth0", "lo"):
        files.update(
            {
                "/sys/class/net/%s/%s" % (name, key): text
                for key, text in (("ifindex", "1"), ("flags", "0x1003"), ("mtu", "1500"))
            }
        )
    found = {one["name"]: one for one in netfiles.interfaces(Files(files))}
    assert found["eth0"]["addresses"] == [{"address": "10.101.0.10", "prefix": 24, "family": 4, "scope": "global"}]
    assert found["eth0"]["up"] and found["lo"]["addresses"][0]["address"] == "127.0.0.1"
    assert [(one["dst"], one["via"]) for one in netfiles.routes4(ROUTES4)] == [
        ("default", "10.101.0.1"),
        ("10.101.0.0/24", None),
    ]


def test_listeners():
    line = "  0: 0100007F:192B 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 4711 1\n"
    assert network.listeners("header\n" + line, "0A") == [(6443, "127.0.0.1", "4711")]


@pytest.mark.parametrize(
    "name, output, version",
    [
        ("kubelet", "Kubernetes v1.36.3\n", "v1.36.3"),
        ("k3s", "k3s version v1.34.1+k3s1 (24fc436e)\ngo version go1.24.6\n", "v1.34.1+k3s1"),
        ("containerd", "containerd github.com/containerd/containerd/v2 v2.2.9 abc\n", "2.2.9"),
        ("containerd", "containerd containerd.io 1.7.27 05044ec\n", "1.7.27"),
        ("runc", "runc version 1.4.3\nspec: 1.2.1\n", "1.4.3"),
        ("docker", "Docker version 28.2.2, build e6534b4\n", "28.2.2"),
        ("crictl", "crictl version v1.37.0\n", "1.37.0"),
        ("etcd", "etcd Version: 3.6.8\nGit SHA: x\n", "3.6.8"),
        ("runc", None, None),
    ],
)
def test_version(name, output, version):
    assert software.version(name, output) == version


def test_damaged_record():
    broken = Files({"/etc/kubewright/owned.json": "{"})
    with pytest.raises(ValueError, match="owned.json is damaged"):
        software.owned(broken)


def test_files_of_a_real_host(tmp_path):
    real = host.Host()
    (tmp_path / "long").write_bytes(b"x" * (host.LIMIT + 1))
    (tmp_path / "binary").write_bytes(b"a\0b")
    assert len(real.read(str(tmp_path / "long"))) == host.LIMIT and real.read(str(tmp_path / "binary")) is None
    assert len(real.warnings) == 2
    assert real.read(str(tmp_path / "none")) is None and real.read(str(tmp_path)) is None and len(real.warnings) == 2
    assert real.run(["/nonexistent"]) is None and real.run(["sleep", "9"], 0.05) is None and len(real.warnings) == 3


@pytest.mark.parametrize(
    "text", ["", "client-key-data: x", "certificate-authority-data: a\nclient-certificate-data: a\nclient-key-data: a"]
)
def test_broken_kubeconfig(text):
    with pytest.raises(OSError, match="kubeconfig"):
        https.credentials(text)


WORDS = st.text(alphabet='0123456789abcdefABCDEF:/. \n\t\\-=,[]{}"vmx%', max_size=200)


@settings(max_examples=150, deadline=None)
@given(st.one_of(st.text(max_size=200), WORDS))
def test_any_text(text):
    for parse in (
        hardware.meminfo, hardware.cpu_list, hardware.unescape, disks.mounts, system.nameservers, netfiles.address,
        netfiles.routes4, netfiles.routes6, network.entries, cluster.fingerprint, renewal.certificate_time,
        live.address, host.number, node.uptime,
    ):  # fmt: skip
        parse(text)
    network.listeners("\n" + text, "0A")
    hardware.own_cgroup(text, "memory")
    system.listed("overlay", [text, text])
    for name in software.PROGRAMS:
        software.version(name, text)
    network.interfaces_of(network.entries(text))


@settings(max_examples=40, deadline=None)
@given(st.one_of(st.binary(max_size=200), WORDS.map(str.encode)))
def test_any_content_of_every_file(content):
    class Any(Files):
        def _bytes(self, path, limit):
            return content

    any_host = Any()
    for parse in (place.virtualization, place.board, system.cgroup, system.release, system.resolver, system.security):
        parse(any_host)
    for parse in (hardware.swap, netfiles.interfaces, network.ports):
        parse(any_host)
    own = any_host.read("/proc/self/cgroup")
    hardware.memory(any_host, own)
    hardware.cpus(any_host, own, 2)
    hardware.architecture(any_host, MACHINE)
    disks.disks(any_host, ["/var/lib/etcd"])
    system.kernel(any_host, MACHINE)
    record = None
    with contextlib.suppress(ValueError):
        record = software.owned(any_host)
    software.files(any_host, ["/etc/x"], record)
    software.artifacts(any_host, record)
    cluster.ca_digest(any_host)
    software._service(any_host, {"ActiveState": "active", "MainPID": "1", "ControlGroup": "/x"}, 1.0, 100)


def test_a_command_finds_no_home_to_write_to(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert host.Host().run(["sh", "-c", "mkdir -p $HOME/.cache 2>/dev/null; echo $HOME"]) == "/dev/null\n"
    assert not list(tmp_path.iterdir())


def test_a_program_is_looked_for_where_it_is_said_to_be(tmp_path):
    program = tmp_path / "k3s"
    program.write_text("#!/bin/sh\necho k3s version v1.36.3+k3s1\n")
    program.chmod(0o755)
    with ThreadPoolExecutor(4) as pool:
        found = software.installed(host.Host(), {}, pool, None, {"k3s": str(program)})
        assert found["k3s"] == {"path": str(program), "version": "v1.36.3+k3s1"}
        lacking = software.installed(host.Host(), {}, pool, None, {"k3s": str(tmp_path / "lacking")})
        assert (lacking["k3s"] or {}).get("path") != str(tmp_path / "lacking")


def test_addresses_that_may_go_away_and_kinds_of_links():
    rows = [
        {"local": "2001:db8::1", "family": "inet6", "prefixlen": 64, "scope": "global", "temporary": True},
        {"local": "2001:db8::2", "family": "inet6", "prefixlen": 64, "scope": "global", "deprecated": True},
        {"local": "2001:db8::3", "family": "inet6", "prefixlen": 64, "scope": "global", "mngtmpaddr": True},
    ]
    items = [{"ifname": "wg0", "link_type": "none", "flags": ["UP"], "operstate": "UNKNOWN", "addr_info": rows}]
    (found,) = network.interfaces_of(items)
    assert (found["up"], found["link"]) == (True, "none")
    assert [row.get("unstable") for row in found["addresses"]] == ["temporary", "deprecated", None]
    text = (
        "20010db8000000000000000000000001 02 40 00 01     eth0\n20010db8000000000000000000000003 02 40 00 80     eth0\n"
    )
    files = {
        "/proc/net/if_inet6": text,
        "/sys/class/net/eth0/ifindex": "2\n",
        "/sys/class/net/eth0/type": "1\n",
        "/sys/class/net/eth0/flags": "0x1003\n",
    }
    (found,) = netfiles.interfaces(Files(files))
    assert found["link"] == "ether" and [row.get("unstable") for row in found["addresses"]] == ["temporary", None]


def test_routes_of_all_tables_without_those_of_the_machine_itself():
    items = [
        {"dst": "default", "gateway": "10.0.0.1", "dev": "eth0"},
        {"dst": "192.168.9.0/24", "dev": "tailscale0", "table": "52"},
        {"type": "blackhole", "dst": "172.16.0.0/12", "table": "main"},
        {"type": "local", "dst": "10.0.0.5", "dev": "eth0", "table": "local"},
        {"type": "multicast", "dst": "ff00::/8", "dev": "eth0", "table": "local"},
        {"dst": "default", "dev": "tun0", "table": "9", "metric": 0},
    ]
    found = network.routes_of(items, 4)
    assert [(row["dst"], row["type"], row["table"]) for row in found] == [
        ("default", None, None),
        ("192.168.9.0/24", None, "52"),
        ("172.16.0.0/12", "blackhole", None),
        ("default", None, "9"),
    ]
    assert network._default(found, [], 4)["gateway"] == "10.0.0.1"


def test_own_addresses_on_the_routes_to_other_nodes():
    class Routed(Files):
        def source(self, address):
            return {"10.0.0.1": "10.0.0.1", "10.0.0.2": "10.0.0.1", "fd00::2": "fd00::1"}.get(address)

    found = network.sources(Routed({}), ["10.0.0.1", "10.0.0.2", "192.0.2.1", "fd00::2"])
    assert found == {"10.0.0.1": "10.0.0.1", "fd00::1": "fd00::2"}


def test_the_addresses_that_a_kubelet_gives_its_node():
    assert cluster._node_ips('KUBELET_KUBEADM_ARGS="--node-ip=10.0.0.1,fd00::1 --v=2"') == ["10.0.0.1", "fd00::1"]
    assert cluster._node_ips(None) == [] == cluster._node_ips('KUBELET_KUBEADM_ARGS="--v=2"')


def test_the_kernel_takes_a_default_route_from_advertisements():
    rows = [
        {"dst": "default", "gateway": "fe80::1", "dev": "eth0.100", "protocol": "ra"},
        {"dst": "2001:db8::/64", "dev": "eth0.100", "protocol": "ra"},
        {"dst": "default", "gateway": "fe80::2", "dev": "eth1", "protocol": "static"},
    ]
    files = {"/proc/sys/net/ipv6/conf/eth0.100/accept_ra": "1\n", "/proc/sys/net/ipv6/conf/eth1/accept_ra": "1\n"}
    found = {"routes": network.routes_of(rows, 6)}
    assert network.accept_ra(Files(files), found) == {"net/ipv6/conf/eth0.100/accept_ra": "1"}
