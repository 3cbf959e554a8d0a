# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run commands: one wrapper around subprocess for everything that runs on a node. Standard library only."""

from __future__ import annotations

import os
import subprocess
from typing import IO, Any, Mapping, NamedTuple, Sequence

PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
# What a shell returns for a program that cannot be started, and what timeout(1) returns.
NOT_STARTED, TIMED_OUT = 127, 124
# A host may have them in /etc/environment. Empty ones are as good as none: golang.org/x/net/http/httpproxy.
NO_PROXY = {
    name: "" for upper in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY") for name in (upper, upper.lower())
}


class Result(NamedTuple):
    """What a command returned. rc is NOT_STARTED or TIMED_OUT when it did not come to its end; err then says why."""

    rc: int
    out: str = ""
    err: str = ""

    def complaint(self, lines: int = 4) -> str:
        """Return the last lines of the error output (or of the output) for an error message, without secrets."""
        from .masking import masked_message  # many callers never fail, and its patterns take long to compile

        text = (self.err.strip() or self.out.strip()).splitlines()
        return masked_message("\n".join(text[-lines:])) or "exit status %d" % self.rc


def environment(extra: Mapping[str, str] | None = None, clean: bool = False) -> dict[str, str]:
    """Return the environment of a command: this process's own (unless clean), the C locale and the usual PATH first."""
    own = {} if clean else dict(os.environ)
    path = ":".join(part for part in (PATH, own.get("PATH", "")) if part)
    return {**own, "PATH": path, "LC_ALL": "C", **(extra or {})}


def run(
    argv: Sequence[str],
    timeout: float | None = 120,
    stdin: str | bytes | IO[bytes] | None = None,
    env: Mapping[str, str] | None = None,
    clean: bool = False,
    merge: bool = False,
    close_fds: bool = True,
    stdout: IO[bytes] | None = None,
) -> Result:
    """Run a command and return its result; never raise because of the command.

    stdin: text, bytes or an open file; nothing by default. env: variables to add. clean: do not inherit this process's
    environment. merge: put the error output into `out`, in the order in which it was written. stdout: an open file that
    gets the output in place of `out`.
    """
    data = stdin.encode() if isinstance(stdin, str) else stdin
    given: Any = {"input": data} if isinstance(data, bytes) else {"stdin": data or subprocess.DEVNULL}
    try:
        done = subprocess.run(  # pylint: disable=ansible-bad-function  # module_utils do not import Ansible
            list(argv),
            stdout=stdout or subprocess.PIPE,
            stderr=subprocess.STDOUT if merge else subprocess.PIPE,
            timeout=timeout,
            env=environment(env, clean),
            close_fds=close_fds,
            check=False,
            **given,
        )
    except subprocess.TimeoutExpired:
        return Result(TIMED_OUT, "", "%s did not finish within %d s" % (os.path.basename(argv[0]), timeout or 0))
    except (OSError, ValueError, subprocess.SubprocessError) as error:
        return Result(NOT_STARTED, "", "%s: %s" % (argv[0], getattr(error, "strerror", None) or error))
    errors = (done.stderr or b"").decode("utf-8", "replace")
    return Result(done.returncode, (done.stdout or b"").decode("utf-8", "replace"), errors)
