# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""When backups are due: calendar events as systemd's timers have them. Standard library only.

https://www.freedesktop.org/software/systemd/man/latest/systemd.time.html#Calendar%20Events

Times are UTC, so that all control planes mean the same moment and no day has 23 hours. Years, fractions of seconds and
days counted from the end of the month are left out.
"""

from __future__ import annotations

import calendar
import re
import time
from bisect import bisect_left, bisect_right
from typing import List, NamedTuple, Set, Tuple

DAY = 86400
WORDS = {
    "hourly": "*-*-* *:00:00",
    "daily": "*-*-* 00:00:00",
    "weekly": "Mon *-*-* 00:00:00",
    "monthly": "*-*-01 00:00:00",
    "quarterly": "*-01,04,07,10-01 00:00:00",
    "semiannually": "*-01,07-01 00:00:00",
    "annually": "*-01-01 00:00:00",
    "yearly": "*-01-01 00:00:00",
}
WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
FULL_WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
# Days in which every schedule comes, 29 February included.
HORIZON = 8 * 366
SHORTEST = 600
# Control planes wait a random part of this, so that they do not all begin at once.
MOST_DELAY = 900
# A backup is late when so much time has passed since it was due, and half of the time until the next one.
MOST_GRACE = 6 * 3600
EXAMPLES = "write it as daily, 02:30, Mon..Fri 23:00 or 0/6:00 (UTC)"
_ITEM = re.compile(r"(\d+)(?:\.\.(\d+))?(?:/(\d+))?")


class ScheduleError(ValueError):
    """A text is not a schedule. problem: what is wrong. way_out: what to write."""

    def __init__(self, problem: str, way_out: str = EXAMPLES) -> None:
        super().__init__("%s; %s" % (problem, way_out))
        self.problem, self.way_out = problem, way_out


class Schedule(NamedTuple):
    """A schedule. text: as systemd's OnCalendar= takes it. The others: what it may be; times in seconds of the day."""

    text: str
    weekdays: Set[int]
    months: Set[int]
    days: Set[int]
    times: List[int]

    def previous(self, moment: float) -> float:
        """Return when it was last due at a moment, in seconds since 1970."""
        day, second = divmod(int(moment), DAY)
        count = bisect_right(self.times, second)
        if self._comes(day) and count:
            return day * DAY + self.times[count - 1]
        return next(there for there in range(day - 1, day - HORIZON, -1) if self._comes(there)) * DAY + self.times[-1]

    def following(self, moment: float) -> float:
        """Return when it is due next after a moment, in seconds since 1970."""
        day, second = divmod(int(moment), DAY)
        count = bisect_left(self.times, second + 1)
        if self._comes(day) and count < len(self.times):
            return day * DAY + self.times[count]
        return next(there for there in range(day + 1, day + HORIZON) if self._comes(there)) * DAY + self.times[0]

    def _comes(self, day: int) -> bool:
        """Return True if it comes on a day since 1970."""
        date = time.gmtime(day * DAY)
        return date.tm_wday in self.weekdays and date.tm_mon in self.months and date.tm_mday in self.days

    def gaps(self) -> Tuple[int, int]:
        """Return (shortest, longest) time between two moments at which it is due, in seconds."""
        # The days from 2000 on, with a leap year in them, are like all others; a week has the same days in any year.
        first = calendar.timegm((2000, 1, 1, 0, 0, 0)) // DAY
        days = [day for day in range(first, first + HORIZON) if self._comes(day)]
        found = [later - earlier for earlier, later in zip(self.times, self.times[1:])] if days else []
        between = self.times[0] - self.times[-1]
        found += [(later - earlier) * DAY + between for earlier, later in zip(days, days[1:])]
        return min(found, default=0), max(found, default=0)

    @property
    def delay(self) -> int:
        """Return the longest random wait of a control plane after it is due, in seconds."""
        return min(MOST_DELAY, self.gaps()[0] // 10)

    @property
    def grace(self) -> int:
        """Return after how many seconds a backup that was due counts as late."""
        return self.delay + min(MOST_GRACE, self.gaps()[0] // 2)


def parse(text: str) -> Schedule:
    """Return a schedule. Raise ScheduleError."""
    words = re.sub(r"\s+UTC$", "", text.strip()).split()
    if len(words) == 1 and words[0].lower() in WORDS:
        words = WORDS[words[0].lower()].split()
    rest = list(words)
    weekdays = _weekdays(rest.pop(0)) if rest and rest[0][0].isalpha() else set(range(7))
    months, days = set(range(1, 13)), set(range(1, 32))
    if rest and "-" in rest[0]:
        months, days = _date(rest.pop(0))
    times = _times(rest.pop(0)) if rest and ":" in rest[0] else [0]
    if rest or not words:
        raise ScheduleError('"%s" is not a schedule' % text)
    found = Schedule("%s UTC" % " ".join(words), weekdays, months, days, times)
    shortest, longest = found.gaps()
    if not longest:
        raise ScheduleError('"%s" comes too seldom, or never' % text)
    if shortest < SHORTEST:
        raise ScheduleError('"%s" comes every %d s' % (text, shortest), "leave at least ten minutes between backups")
    return found


def _weekdays(text: str) -> Set[int]:
    found: Set[int] = set()
    for item in text.rstrip(",").split(","):
        first, dots, last = item.partition("..")
        start, end = _weekday(first), _weekday(last if dots else first)
        if start > end:
            raise ScheduleError('"%s" ends before it begins' % item, "write it as Mon..Fri, or list the days")
        found.update(range(start, end + 1))
    return found


def _weekday(text: str) -> int:
    word = text.lower()
    for names in (WEEKDAYS, FULL_WEEKDAYS):
        if word in names:
            return names.index(word)
    raise ScheduleError('"%s" is not a day of the week' % text)


def _date(text: str) -> Tuple[Set[int], Set[int]]:
    """Return (months, days of the month)."""
    parts = text.split("-")
    if len(parts) == 3 and parts.pop(0) != "*" or len(parts) != 2:
        raise ScheduleError('the date "%s" has a year, or is not a date' % text, "write it as *-*-1,15 or *-01-31")
    return set(_numbers(parts[0], 1, 12)), set(_numbers(parts[1], 1, 31))


def _times(text: str) -> List[int]:
    """Return seconds of the day, sorted."""
    parts = text.split(":")
    if len(parts) not in (2, 3):
        raise ScheduleError('"%s" is not a time' % text)
    hours, minutes, seconds = _numbers(parts[0], 0, 23), _numbers(parts[1], 0, 59), [0]
    if len(parts) == 3:
        seconds = _numbers(parts[2], 0, 59)
    if len(seconds) > 1:
        raise ScheduleError('"%s" comes several times a minute' % text, "leave at least ten minutes between backups")
    return sorted(hour * 3600 + minute * 60 + seconds[0] for hour in hours for minute in minutes)


def _numbers(text: str, low: int, high: int) -> List[int]:
    """Return the numbers of one part of a date or time: *, 5, 1..5, 0/6, 1..9/2, and lists of them."""
    if text == "*":
        return list(range(low, high + 1))
    found: Set[int] = set()
    for item in text.split(","):
        match = _ITEM.fullmatch(item)
        if not match:
            way_out = "write 0/6 for every sixth" if item.startswith("*/") else EXAMPLES
            raise ScheduleError('"%s" is not a number, a range or a list' % item, way_out)
        start, end, step = int(match.group(1)), match.group(2), match.group(3)
        last = int(end) if end else high if step else start
        if not low <= start <= last <= high or step and int(step) < 1:
            raise ScheduleError('"%s" is out of range' % item, "use %d to %d" % (low, high))
        found.update(range(start, last + 1, int(step or 1)))
    return sorted(found)
