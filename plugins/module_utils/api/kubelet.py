# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Ask the kubelet of this node about itself. Its Node object is up to 40 seconds old. Standard library only.

https://kubernetes.io/docs/reference/config-api/kubelet-config.v1beta1/ (healthzPort, healthzBindAddress)
"""

from __future__ import annotations

import http.client

from ..node import paths


def health_problem(timeout: float = 3) -> str:
    """Return why the kubelet is not healthy, "" if it is. timeout: seconds to wait for its answer.

    With K3s it listens at ::1 if the node's first address is IPv6: pkg/daemons/agent/agent.go (kubeletArgs).
    """
    problem = _problem_at("127.0.0.1", timeout)
    return problem if problem and _problem_at("::1", timeout) else ""


def _problem_at(address: str, timeout: float) -> str:
    connection = http.client.HTTPConnection(address, paths.KUBELET_HEALTH_PORT, timeout=timeout)
    try:
        connection.request("GET", "/healthz")
        answer = connection.getresponse()
        if answer.status != 200:
            return "HTTP %d %s" % (answer.status, answer.read(200).decode("utf-8", "replace").strip())
    except (OSError, http.client.HTTPException) as error:
        return str(error) or type(error).__name__
    finally:
        connection.close()
    return ""
