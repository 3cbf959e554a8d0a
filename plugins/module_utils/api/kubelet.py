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
    """Return why the kubelet is not healthy, "" if it is. timeout: seconds to wait for its answer."""
    connection = http.client.HTTPConnection("127.0.0.1", paths.KUBELET_HEALTH_PORT, timeout=timeout)
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
