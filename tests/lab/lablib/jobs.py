# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Runs jobs that need one another, a few at once, and says all the while what runs and what remains."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from .catalog import LabError

WORKERS = 2
EVERY = 10


@dataclass(frozen=True)
class Job:
    """Something to be made. Earlier ones in a list are the more wanted ones."""

    name: str
    run: Callable[[], None]
    seconds: int = 1
    needs: tuple[str, ...] = ()


def clock(seconds):
    """75 as 1:15."""
    return f"{int(seconds) // 60}:{int(seconds) % 60:02d}"


def remaining(waiting, running, now):
    """Seconds until all is made, by the jobs' estimates: `waiting` jobs, `running` {job: start}.

    One that takes longer than it was to take is thought to need a quarter more of what it took.
    """
    under_way = [max(job.seconds - (now - start), (now - start) / 4) for job, start in running.items()]
    total = sum(under_way) + sum(job.seconds for job in waiting)
    longest = max([*under_way, *(job.seconds for job in waiting)], default=0)
    return max(total / WORKERS, longest)


class Runner:
    """Runs a list of jobs."""

    def __init__(self, jobs, say=print):
        self.waiting = list(jobs)
        self.running, self.done, self.failed = {}, set(), {}
        self.condition = threading.Condition()
        self.started = time.monotonic()
        self.say = lambda text: say(f"[{clock(time.monotonic() - self.started)}] {text}", flush=True)

    def ready(self):
        """The first job that waits for nothing, under the lock."""
        pending = {job.name for job in [*self.waiting, *self.running]}
        return next((job for job in self.waiting if not pending & set(job.needs)), None)

    def drop(self):
        """Gives up what needs something that failed."""
        gone = set(self.failed)
        while found := [job for job in self.waiting if gone & set(job.needs)]:
            gone |= {job.name for job in found}
            self.waiting = [job for job in self.waiting if job not in found]

    def work(self):
        """What each worker does until nothing is left to start."""
        while True:
            with self.condition:
                while (job := self.ready()) is None and self.waiting:
                    self.condition.wait()
                if job is None:
                    return
                self.waiting.remove(job)
                start = self.running[job] = time.monotonic()
            error = self.attempt(job)
            with self.condition:
                del self.running[job]
                if error:
                    self.failed[job.name] = error
                    self.drop()
                    self.say(f"FAILED {job.name} after {clock(time.monotonic() - start)}: {error}")
                elif (took := time.monotonic() - start) >= 1:
                    self.say(f"made {job.name} in {took:.0f} s")
                self.condition.notify_all()

    def attempt(self, job):
        """The message of what went wrong, or nothing."""
        try:
            job.run()
        except (LabError, OSError) as error:
            return str(error) or repr(error)
        except Exception as error:  # an error of the lab's own still must not leave the others waiting
            return f"{type(error).__name__}: {error}"
        return None

    def progress(self):
        """One line on what runs and what remains."""
        with self.condition:
            now = time.monotonic()
            parts = [f"{job.name} ({now - start:.0f} of about {job.seconds} s)" for job, start in self.running.items()]
            left = remaining(self.waiting, self.running, now)
            self.say(f"making {', '.join(parts)}; {len(self.waiting)} more after that; about {clock(left)} to go")

    def run(self):
        """Runs everything; True when all went well."""
        workers = [threading.Thread(target=self.work, daemon=True) for _number in range(WORKERS)]
        for worker in workers:
            worker.start()
        said = time.monotonic()
        while any(worker.is_alive() for worker in workers):
            for worker in workers:
                worker.join(0.1)
            if time.monotonic() - said >= EVERY and self.running:
                said = time.monotonic()
                self.progress()
        return not self.failed
