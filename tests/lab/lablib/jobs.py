# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Run jobs that depend on each other, a few at a time, and report progress."""

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
    """Something to build. Jobs at the front of a list are started first."""

    name: str
    run: Callable[[], None]
    seconds: int = 1
    needs: tuple[str, ...] = ()


def clock(seconds):
    """Format seconds as minutes and seconds: 75 is 1:15."""
    return f"{int(seconds) // 60}:{int(seconds) % 60:02d}"


def remaining(waiting, running, now):
    """Return the estimated seconds until all jobs are done: `waiting` is a list of jobs, `running` is {job: start}.

    A job that exceeds its estimate is assumed to need another quarter of the time it has taken so far.
    """
    under_way = [max(job.seconds - (now - start), (now - start) / 4) for job, start in running.items()]
    total = sum(under_way) + sum(job.seconds for job in waiting)
    longest = max([*under_way, *(job.seconds for job in waiting)], default=0)
    return max(total / WORKERS, longest)


class Runner:
    """Run a list of jobs."""

    def __init__(self, jobs, say=print):
        self.waiting = list(jobs)
        self.running, self.done, self.failed = {}, set(), {}
        self.condition = threading.Condition()
        self.started = time.monotonic()
        self.say = lambda text: say(f"[{clock(time.monotonic() - self.started)}] {text}", flush=True)

    def ready(self):
        """Return the first job whose dependencies are done. The caller holds the lock."""
        pending = {job.name for job in [*self.waiting, *self.running]}
        return next((job for job in self.waiting if not pending & set(job.needs)), None)

    def drop(self):
        """Drop the jobs that depend on a failed one."""
        gone = set(self.failed)
        while found := [job for job in self.waiting if gone & set(job.needs)]:
            gone |= {job.name for job in found}
            self.waiting = [job for job in self.waiting if job not in found]

    def work(self):
        """Run jobs until none is left to start. Each worker thread runs this."""
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
                    self.say(f"built {job.name} in {took:.0f} s")
                self.condition.notify_all()

    def attempt(self, job):
        """Run a job. Return the error message, or None."""
        try:
            job.run()
        except (LabError, OSError) as error:
            return str(error) or repr(error)
        except Exception as error:  # a bug in the lab must not leave the other workers waiting
            return f"{type(error).__name__}: {error}"
        return None

    def progress(self):
        """Print one line about running and remaining jobs."""
        with self.condition:
            now = time.monotonic()
            parts = [f"{job.name} ({now - start:.0f} of about {job.seconds} s)" for job, start in self.running.items()]
            left = remaining(self.waiting, self.running, now)
            self.say(f"building {', '.join(parts)}; {len(self.waiting)} more to do; about {clock(left)} left")

    def run(self):
        """Run all jobs. Return True if none failed."""
        workers = [threading.Thread(target=self.work, daemon=True) for _number in range(WORKERS)]
        for worker in workers:
            worker.start()
        reported = time.monotonic()
        while any(worker.is_alive() for worker in workers):
            for worker in workers:
                worker.join(0.1)
            if time.monotonic() - reported >= EVERY and self.running:
                reported = time.monotonic()
                self.progress()
        return not self.failed
