"""The day it is: the one place where what is read is held against the clock of the machine."""

from __future__ import annotations

import datetime as dt


def today() -> dt.date:
    """Return the day it is by the clock of the machine."""
    return dt.date.today()


def latest_day() -> dt.date:
    """Return the last day that may have been: where the clock is in another time zone, tomorrow has begun."""
    return today() + dt.timedelta(days=1)
