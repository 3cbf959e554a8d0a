# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The inventory of a machine: what a user writes for a real one, with the lab as the source of programs and images."""

from __future__ import annotations

from .qemu import HOST

TEMPLATE = """all:
  vars:
    ansible_user: root
    ansible_host: 127.0.0.1
    ansible_ssh_private_key_file: {folder}/id_ed25519
    ansible_ssh_args: -o ControlMaster=auto -o ControlPersist=600s -o ServerAliveInterval=15 -o ServerAliveCountMax=8
    ansible_ssh_common_args: -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o LogLevel=ERROR -o IdentitiesOnly=yes
    ansible_ssh_pipelining: true
    ansible_ssh_timeout: 60
    ansible_python_interpreter: /usr/bin/python3
    kube_artifacts:
      source: http://{host}:8080
    kube_registries:
      mirrors:
        registry.k8s.io:
          endpoints:
            - http://{host}:5000
        docker.io:
          endpoints:
            - http://{host}:5000
  children:
    kube_control_plane:
      hosts:
        {name}: {{ansible_port: {port}}}
"""


def text(machine):
    """Return the text of the inventory."""
    return TEMPLATE.format(folder=machine.folder, name=machine.name, port=machine.port, host=HOST)
