# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A stage: a command, its log and its test results."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import re
import signal
import subprocess
import threading
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
CACHE = Path(os.environ["KUBEWRIGHT_CACHE"])
WORK = Path(os.environ["KUBEWRIGHT_WORK"])
LOGS = WORK / "logs"
# Seconds in which a stopped scenario removes its nodes.
CLEAN_UP = 120
COLOUR = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")


@dataclasses.dataclass
class Stage:
    """A command that passes or fails. `needs` has the names of stages that must pass first."""

    name: str
    command: list
    needs: tuple = ()
    lane: str = "code"
    directory: Path = ROOT
    extra: dict = dataclasses.field(default_factory=dict)
    state: str = "waiting"
    started: float = 0.0
    seconds: float = 0.0
    by_default: bool = True
    passed: int = 0
    failed: int = 0
    skipped: int = 0
    process: subprocess.Popen | None = None

    @property
    def log(self) -> Path:
        """Return the path of the file with the command's output."""
        return LOGS / (self.name.replace(":", "-") + ".log")

    @property
    def settings(self) -> dict:
        """Return the environment variables of all stages. They keep Ansible from writing to the home directory."""
        plain = {"NO_COLOR": "1", "ANSIBLE_NOCOLOR": "1", "COLUMNS": "200"}
        return {**plain, "ANSIBLE_HOME": str(CACHE / "ansible"), "KUBEWRIGHT_STAGE_LOG": str(self.log)}

    def run(self) -> None:
        """Run the command, write its output to the log, and count its tests."""
        self.state, self.started = "running", time.monotonic()
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                self.command,
                cwd=self.directory,
                env={**os.environ, **self.settings, **self.extra},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
            code = self.process.wait()
        self.seconds = time.monotonic() - self.started
        self.state = "failed" if code else "passed"
        self.passed, self.failed, self.skipped = count(self.log.read_text(errors="replace"))

    def stop(self) -> None:
        """Stop the command and its child processes, and wait until it has cleaned up."""
        if self.process and self.process.poll() is None:
            print(f"  ... stopping {self.name}, up to {CLEAN_UP} s", flush=True)
            os.killpg(self.process.pid, signal.SIGTERM)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(CLEAN_UP)

    def last_line(self) -> str:
        """Return the last line of the log."""
        with self.log.open("rb") as log:
            log.seek(max(0, self.log.stat().st_size - 2000))
            lines = [line.strip() for line in COLOUR.sub("", log.read().decode(errors="replace")).splitlines()]
        return next((line for line in reversed(lines) if line), "")[:100]

    def why(self, lines: int = 20) -> str:
        """Return the failures in the log, and the last lines of the log."""
        text = self.log.read_text(errors="replace")
        return causes(text) + "\n    ...\n" + "\n".join("    " + line for line in text.splitlines()[-lines:])


def causes(text: str, lines: int = 30) -> str:
    """Return the failures that Ansible, pytest and ansible-test report, often far above the end of a log.

    If a test quotes the output of a playbook (lines that start with "E"), only its failed tasks are returned.
    """
    found = [line.rstrip()[:600] for line in COLOUR.sub("", text).splitlines() if line.startswith("ERROR: ")]
    for block in re.split(r"\n(?:E?[ \t]*\n)+", COLOUR.sub("", text)):
        if re.match(r"E {9,}", block) and not re.search(
            r"(fatal|failed|changed): \[|FAILED|ERROR|(changed|failed)=[1-9]", block
        ):
            continue
        if re.search(r"^\.\.\.ignoring", block, re.MULTILINE):
            continue
        at = re.search(r"^(fatal: \[|failed: \[|FAILED |E  +)", block, re.MULTILINE)
        if at:
            found += [line.rstrip()[:600] for line in block[at.start() :].splitlines()]
    return "\n".join("    " + line for line in found[:lines])


def count(text: str) -> tuple[int, int, int]:
    """Return how many tests of a log passed, failed and were skipped, for pytest and ansible-test sanity."""
    text = COLOUR.sub("", text)
    total = {"passed": 0, "failed": 0, "skipped": 0}
    for summary in re.findall(r"^\W*((?:\d+ \w+(?:, )?)+) in [\d.]+s", text, re.MULTILINE):
        for number, word in re.findall(r"(\d+) (\w+)", summary):
            word = "failed" if word.startswith("error") else word
            if word in total:
                total[word] += int(number)
    listed = re.search(r"The (\d+) sanity test\(s\) listed below \(out of (\d+)\) failed", text)
    sanity = len(set(re.findall(r'^Running sanity test "?([\w-]+)', text, re.MULTILINE)))
    broken = int(listed[1]) if listed else 0
    return total["passed"] + sanity - broken, total["failed"] + broken, total["skipped"]


class Ticker(threading.Thread):
    """Print a line for each running stage every half minute."""

    def __init__(self, stages: list[Stage]) -> None:
        super().__init__(daemon=True)
        self.stages = stages

    def run(self) -> None:
        while True:
            time.sleep(30)
            for stage in self.stages:
                if stage.state == "running":
                    print(
                        f"  ... {stage.name}, {time.monotonic() - stage.started:.0f} s: {stage.last_line()}", flush=True
                    )
