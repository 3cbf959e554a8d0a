#!/usr/bin/python
# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: node_info
short_description: Gather the facts of a machine that Kubernetes depends on
version_added: 0.1.0
author: kubewright contributors (@kubewright)
description:
  - Gathers in one call what Kubernetes depends on - architecture, CPUs, memory, disks, cgroups, kernel, network,
    clock - and what is installed already, with the state of the files and services that the collection manages.
  - On a control plane it also asks the local API server and etcd, with the certificates on the machine. No certificate
    leaves the machine.
  - Changes nothing. A fact that cannot be found is null, and RV(node.warnings) says why.
  - Needs only Python 3.8 or later on the machine. Run it as root; other users do not get all facts.
extends_documentation_fragment: [kubewright.cluster.attributes]
attributes:
  action:
    description: >-
      Indicates this has a corresponding action plugin so some parts of the options can be executed on the controller.
    support: full
  diff_mode:
    support: none
options:
  keep:
    description:
      - Keep the result and the host's inputs for M(kubewright.cluster.plan) in this run instead of returning them.
      - All other options then follow from the inputs. The task waits for a busy node, and a failure is reported by the
        plan.
    type: bool
    default: false
  host:
    description: Inventory name of the host, for O(keep) with C(delegate_to). The default is the host of the task.
    type: str
  address_probes:
    description:
      - Addresses of the nodes. RV(node.network) then has the machine's own addresses on the routes to them as
        C(sources). Nothing is sent.
    type: list
    elements: str
    default: []
  controller_epoch:
    description: The controller's time in seconds since 1970, to compare the clock with.
    type: float
  paths:
    description: Files to report in addition to those that the collection manages.
    type: list
    elements: path
    default: []
  data_paths:
    description:
      - Directories whose disks are reported. For one that does not exist, the disk of its nearest existing parent.
      - The default is C(/var/lib/etcd), C(/var/lib/containerd) and C(/var/lib/kubelet).
    type: list
    elements: path
    default: []
  programs:
    description: Paths of programs in unusual places, by name. They are looked for there first.
    type: dict
    default: {}
  reach:
    description: Targets to which a TCP connection is tried, each as C(host:port). Nothing is sent.
    type: list
    elements: str
    default: []
"""

EXAMPLES = r"""
- name: Gather facts
  kubewright.cluster.node_info:
    controller_epoch: "{{ now(utc=true).timestamp() }}"
  register: machine

- name: Find the own address on the route to another node, and the digest of a file
  kubewright.cluster.node_info:
    address_probes: [10.0.0.12]
    paths: [/etc/hosts]
  register: machine

- name: Show the usable resources
  ansible.builtin.debug:
    msg: "{{ machine.node.memory.usable_bytes }} bytes of memory, {{ machine.node.cpus.count }} CPUs"
"""

RETURN = r"""
node:
  description: The facts. Unknown values are null.
  type: dict
  returned: success
  contains:
    schema:
      description: Version of this structure.
      type: int
      returned: always
      sample: 1
    hostname:
      description: Name of the machine.
      type: str
      returned: always
      sample: n1
    machine_id:
      description: Content of C(/etc/machine-id).
      type: str
      returned: always
      sample: 4c4c4544003957108052b4c04f384833
    boot_id:
      description: Identifies the running kernel. Two hosts with the same one are one machine, or containers on one.
      type: str
      returned: always
      sample: 6e4d4a08-9a3c-4b39-8b1c-1df0b87f9d64
    product_uuid:
      description: UUID of the machine in its firmware, which only root can read.
      type: str
      returned: always
    architecture:
      description: C(name) as Kubernetes uses it (amd64, arm64, arm, 386, ppc64le, s390x, riscv64), C(raw) as the
        kernel reports it, C(bits) of its programs.
      type: dict
      returned: always
      sample: {name: amd64, raw: x86_64, bits: 64}
    cpus:
      description: C(count) of usable CPUs (by affinity and quota, rounded down, at least 1), C(host_count) of the
        machine, C(limit) of the cgroup in CPUs.
      type: dict
      returned: always
      sample: {count: 2, host_count: 8, limit: 2.5}
    memory:
      description: >-
        C(total_bytes), C(limit_bytes) of the cgroup, C(usable_bytes), the smaller of both, and C(available_bytes) now.
      type: dict
      returned: always
      sample: {total_bytes: 8589934592, limit_bytes: null, usable_bytes: 8589934592, available_bytes: 7516192768}
    swap:
      description: C(total_bytes) of the active swap, C(devices) with C(name), C(kind) (partition, file, zram, virtual)
        and C(size_bytes), C(fstab) with the lines of C(/etc/fstab) that turn swap on.
      type: dict
      returned: always
      sample: {total_bytes: 0, devices: [], fstab: []}
    gpus:
      description: Accelerators of NVIDIA and AMD, with C(vendor) and C(address) on the PCI bus, with or without a
        driver.
      type: list
      elements: dict
      returned: always
      sample: [{vendor: nvidia, address: "0000:3b:00.0"}]
    disks:
      description: For each directory C(mount), C(fs), C(device), C(total_bytes), C(free_bytes), C(kind) (nvme, ssd,
        hdd, sd, emmc, virtual, network, unknown; for a volume over several disks, the slowest), C(read_only),
        C(noexec), and of ZFS C(fs_version).
      type: dict
      returned: always
      sample:
        /var/lib/etcd: {mount: /, fs: ext4, device: /dev/vda1, kind: virtual, read_only: false, noexec: false}
    cgroup:
      description: C(version) (v1, v2, hybrid) and C(controllers).
      type: dict
      returned: always
      sample: {version: v2, controllers: [cpu, memory, pids]}
    kernel:
      description: C(release), C(version) as three numbers, C(modules) by name (loaded, builtin, available, missing,
        unknown), C(sysctls) by name.
      type: dict
      returned: always
      sample:
        release: 6.1.0-18-amd64
        version: [6, 1, 0]
        modules: {overlay: loaded}
        sysctls: {net.ipv4.ip_forward: "1"}
    init:
      description: Init system - systemd, openrc, other.
      type: str
      returned: always
      sample: systemd
    os:
      description: C(id), C(id_like), C(version_id), C(name) from os-release, C(family) (debian, redhat, suse, alpine,
        arch, other).
      type: dict
      returned: always
      sample: {id: debian, id_like: [], version_id: "12", name: Debian GNU/Linux 12 (bookworm), family: debian}
    virtualization:
      description: C(container) (podman, docker, lxc, systemd-nspawn, wsl, other) and C(vm) (kvm, qemu without
        acceleration, vmware, hyperv, xen, firecracker, other).
      type: dict
      returned: always
      sample: {container: null, vm: kvm}
    board:
      description: C(model), C(raspberry_pi), C(cmdline_file) that its firmware reads, C(cmdline_next), the kernel
        arguments in that file, which take effect at the next boot, C(cmdline) of the running kernel, the ID of this
        C(boot) if there is such a file, and C(journal) (memory, or null if it may be on a disk).
      type: dict
      returned: always
      sample:
        model: Raspberry Pi 5 Model B Rev 1.0
        raspberry_pi: true
        cmdline_file: /boot/firmware/cmdline.txt
        cmdline_next: quiet
        cmdline: quiet
        boot: 4f1b4a1e-7d0c-4c5e-8f57-0b8d4f5a9c11
        journal: null
    clock:
      description: C(epoch) in seconds since 1970, C(offset_seconds) from the controller's clock, C(synchronised),
        C(source) (chrony, systemd-timesyncd, ntpd, openntpd).
      type: dict
      returned: always
      sample: {epoch: 1795594158.8, offset_seconds: 0.02, synchronised: true, source: chrony}
    network:
      description: C(interfaces) with C(name), C(mac), C(mtu), C(up), C(link) (ether, none for a VPN, loopback and
        others), C(addresses) with C(address), C(prefix), C(family), C(scope), and C(unstable) (temporary, deprecated,
        tentative, dadfailed) for one that may go away; C(routes) of all tables with C(dst), C(via), C(dev), C(src),
        C(metric), C(family), C(protocol), C(type) (unreachable, blackhole, prohibit, throw, otherwise null), C(table)
        (null for main); C(default_ipv4), C(default_ipv6) with C(address), C(interface), C(gateway); C(sources), by own
        address the first of O(address_probes) that is reached from it, and C(probe_source), the first of these.
      type: dict
      returned: always
    dns:
      description: C(resolv_conf), the file with the real servers, for the kubelet; its C(nameservers) and C(search);
        C(loopback), whether it names a resolver on the machine itself.
      type: dict
      returned: always
      sample: {resolv_conf: /run/systemd/resolve/resolv.conf, nameservers: [192.0.2.53], search: [], loopback: false}
    usr_read_only:
      description: Whether C(/usr) is on a file system that is mounted read-only.
      type: bool
      returned: always
      sample: false
    python:
      description: C(version) and C(executable) of the Python that ran the module.
      type: dict
      returned: always
      sample: {version: 3.11.2, executable: /usr/bin/python3}
    user:
      description: C(uid) and C(name) of the user that ran the module.
      type: dict
      returned: always
      sample: {uid: 0, name: root}
    commands:
      description: Paths of the programs that Kubernetes calls on a node, by name; null if one is missing.
      type: dict
      returned: always
      sample: {conntrack: /usr/sbin/conntrack, ipset: null}
    selinux:
      description: Mode of SELinux - enforcing, permissive, disabled.
      type: str
      returned: always
      sample: disabled
    selinux_k3s:
      description: Whether K3s's policy (the package k3s-selinux) is installed; null if SELinux is not enforcing.
      type: bool
      returned: always
      sample: null
    selinux_haproxy:
      description: SELinux's boolean C(haproxy_connect_any); null if the policy does not have it.
      type: bool
      returned: always
      sample: null
    apparmor:
      description: Whether AppArmor is on.
      type: bool
      returned: always
      sample: true
    firewall:
      description: States of the services C(ufw), C(firewalld), C(nftables), and C(iptables_forward_policy).
      type: dict
      returned: always
      sample: {ufw: null, firewalld: null, nftables: inactive, iptables_forward_policy: ACCEPT}
    installed:
      description: C(path) and C(version) of programs, by name; null if one is not installed.
      type: dict
      returned: always
      sample: {kubelet: {path: /usr/local/bin/kubelet, version: v1.36.3}, k3s: null}
    services:
      description: For each service C(exists), C(active), C(enabled), C(started_epoch), C(newest_process_epoch) (later
        than the start if a reload started a new process), C(restarts).
      type: dict
      returned: always
    files:
      description: For each path C(sha256), C(mode), C(size) in bytes, C(mtime) in seconds since 1970, C(owned); null
        if the file does not exist.
      type: dict
      returned: always
    owned:
      description: The record of what the collection made on the machine, or null.
      type: dict
      returned: always
    occupied:
      description: For each directory of O(data_paths), and of those that etcd and containerd usually have, the names
        in it; only of those that are not empty.
      type: dict
      returned: always
    endpoint_drained:
      description: Control planes that the node's API endpoint (HAProxy) sends no requests to, because a run
        took them out, by node name.
      type: list
      elements: str
      returned: always
    artifacts:
      description: For each program that the collection installed, by path, C(version), C(sha256), C(source), and
        C(intact), whether it is unchanged, and C(mtime).
      type: dict
      returned: always
    cluster:
      description: C(kind) (kubeadm, k3s, rke2, microk8s, k0s) of the cluster that the machine belongs to, C(foreign),
        whether another tool made it, C(made_by) (such as Kubespray or k3s-ansible), C(ca_sha256), the digest of its
        certificate authority, C(role) (control_plane, worker), C(node_name) in its kubelet's certificate, C(finished),
        whether its start or join ran to its end, C(kubelet_conf), C(admin_conf), C(manifests), C(flags), the names of
        the arguments in them by component, C(etcd_servers) of the API server, C(etcd_data),
        C(datastore) of a K3s server (C(sqlite), C(etcd), C(external) with the scheme of its address), C(server) that
        the kubelet uses, C(node_taints) with which K3s registered the node, C(node_ips) that its kubelet gives the
        Node, C(kubelet_args) by name as kubeadm wrote them, C(data_dir) of containerd or K3s, C(proxy_mode) of K3s's
        kube-proxy, C(database), the place of K3s's external database without its login, C(cni_conf), C(certificates)
        by name with C(expires_epoch), C(days_left) and of the kubelet's C(life_days), C(renewal) of a kubeadm node with
        C(authorities), whose private keys are there, C(outdated), why a static pod does not use the certificates in its
        files, C(borrowed), whether the kubelet's kubeconfig holds a short-lived certificate, and C(serving), the
        certificate that the kubelet serves with C(kind) (C(self_signed), C(signed) by the cluster, C(given) by
        C(tlsCertFile), C(none)), C(days_left), C(life_days) and C(waits), whether it has to be restarted for its files,
        C(admin_sha256), digests of the certificates and the key in the administrator's kubeconfig, and on a control
        plane C(live), the state that its API and etcd report (C(lock), who changes the cluster now, C(healthy),
        C(uid) of kube-system, C(version), C(nodes), C(kubeadm_config), C(etcd_cluster), C(etcd_members),
        C(config_maps), C(daemonsets), C(deployments), C(applied), which manifests the collection applied and
        whether their objects are still C(same), C(changed) or C(deleted), C(applied_error), C(backups), the
        record of scheduled backups if there is a schedule, C(dns_places), the nodes of CoreDNS' pods,
        C(addons) of K3s, C(error), C(etcd_error)).
      type: dict
      returned: always
    reach:
      description: For each target in O(reach), why it cannot be reached, or null.
      type: dict
      returned: always
    busy:
      description: Whether a kubeadm that an earlier run started is still running.
      type: bool
      returned: always
      sample: false
    ports:
      description: >-
        Listening sockets - C(port), C(protocol), C(address), and the C(process) of those ports that Kubernetes uses.
      type: list
      elements: dict
      returned: always
    failed_parts:
      description: >-
        Parts of this structure that could not be read, with the reason. Their values are unknown, not absent.
      type: dict
      returned: always
      sample: {}
    warnings:
      description: Sentences about what could not be found.
      type: list
      elements: str
      returned: always
seconds:
  description: How long it took on the machine, in seconds.
  type: float
  returned: success
  sample: 0.131
"""

import time

ARRIVED = time.time()

from ansible.module_utils.basic import AnsibleModule  # noqa: E402
from ansible_collections.kubewright.cluster.plugins.module_utils.detect import look as node  # noqa: E402


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "keep": {"type": "bool", "default": False},
            "host": {"type": "str"},
            "address_probes": {"type": "list", "elements": "str", "default": []},
            "controller_epoch": {"type": "float"},
            "paths": {"type": "list", "elements": "path", "default": []},
            "data_paths": {"type": "list", "elements": "path", "default": []},
            "programs": {"type": "dict", "default": {}},
            "reach": {"type": "list", "elements": "str", "default": []},
        },
        supports_check_mode=True,
    )
    started = time.monotonic()
    parameters = module.params
    found = node.look(
        parameters["address_probes"],
        parameters["controller_epoch"],
        parameters["paths"],
        parameters["data_paths"],
        ARRIVED,
        reach=parameters["reach"],
        programs=parameters["programs"],
    )
    module.exit_json(changed=False, node=found, seconds=round(time.monotonic() - started, 3))


if __name__ == "__main__":
    main()
