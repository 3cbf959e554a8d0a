# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One stage: a command with its log, and what it counted."""

from __future__ import annotations

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
COLOUR = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")


@dataclasses.dataclass
class Stage:
    """A command that passes or fails. `needs` names stages that must have passed."""

    name: str
    command: list
    needs: tuple = ()
    lane: str = "code"
    directory: Path = ROOT
    extra: dict = dataclasses.field(default_factory=dict)
    state: str = "waiting"
    started: float = 0.0
    seconds: float = 0.0
    passed: int = 0
    failed: int = 0
    process: subprocess.Popen | None = None

    @property
    def log(self) -> Path:
        """Everything that the command said."""
        return LOGS / (self.name.replace(":", "-") + ".log")

    def run(self) -> None:
        """Runs the command to its end; its words go to the log."""
        self.state, self.started = "running", time.monotonic()
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                self.command,
                cwd=self.directory,
                env={**os.environ, "NO_COLOR": "1", "ANSIBLE_NOCOLOR": "1", "COLUMNS": "200", "KUBEWRIGHT_STAGE_LOG": str(self.log), **self.extra},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
            code = self.process.wait()
        self.seconds = time.monotonic() - self.started
        self.state = "failed" if code else "passed"
        self.passed, self.failed = count(self.log.read_text(errors="replace"), code == 0)

    def stop(self) -> None:
        """Ends the command and all that it started."""
        if self.process and self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGTERM)

    def last_line(self) -> str:
        """What the command said last."""
        with self.log.open("rb") as log:
            log.seek(max(0, self.log.stat().st_size - 2000))
            lines = [line.strip() for line in COLOUR.sub("", log.read().decode(errors="replace")).splitlines()]
        return next((line for line in reversed(lines) if line), "")[:100]

    def why(self, lines: int = 20) -> str:
        """What failed, and the end of the log."""
        text = self.log.read_text(errors="replace")
        return causes(text) + "\n    ...\n" + "\n".join("    " + line for line in text.splitlines()[-lines:])


def causes(text: str, lines: int = 30) -> str:
    """What failed, by Ansible's and pytest's own words: often far above the end of a log, where clearing up is told of.

    Of a run that a test quotes ("E", then the run's own line), what went well is left out.
    """
    found: list[str] = []
    for block in re.split(r"\n(?:E?[ \t]*\n)+", COLOUR.sub("", text)):
        if re.match(r"E {9,}", block) and not re.search(r"(fatal|failed|changed): \[|FAILED|ERROR|(changed|failed)=[1-9]", block):
            continue
        if re.search(r"^\.\.\.ignoring", block, re.MULTILINE):
            continue
        at = re.search(r"^(fatal: \[|failed: \[|FAILED |E  +)", block, re.MULTILINE)
        if at:
            found += [line.rstrip()[:600] for line in block[at.start() :].splitlines()]
    return "\n".join("    " + line for line in found[:lines])


def count(text: str, good: bool) -> tuple[int, int]:
    """Tests that a log tells of. The stage itself is one more, since it can fail without any of them."""
    text = COLOUR.sub("", text)
    passed = failed = 0
    for summary in re.findall(r"^\W*((?:\d+ \w+(?:, )?)+) in [\d.]+s", text, re.MULTILINE):
        found = {word: int(number) for number, word in re.findall(r"(\d+) (\w+)", summary)}
        passed += found.get("passed", 0)
        failed += found.get("failed", 0) + found.get("error", 0) + found.get("errors", 0)
    listed = re.search(r"The (\d+) sanity test\(s\) listed below \(out of (\d+)\) failed", text)
    sanity = len(set(re.findall(r'^Running sanity test "?([\w-]+)', text, re.MULTILINE)))
    broken = int(listed[1]) if listed else 0
    return passed + sanity - broken + bool(good), failed + broken + (not good)


class Ticker(threading.Thread):
    """Every half minute a line for each stage that still runs."""

    def __init__(self, stages: list[Stage]) -> None:
        super().__init__(daemon=True)
        self.stages = stages

    def run(self) -> None:
        while True:
            time.sleep(30)
            for stage in self.stages:
                if stage.state == "running":
                    print(f"  ... {stage.name}, {time.monotonic() - stage.started:.0f} s: {stage.last_line()}", flush=True)
