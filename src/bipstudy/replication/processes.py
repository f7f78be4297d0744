"""Work in processes of its own that gives back its memory."""

from __future__ import annotations

import ctypes
import gc
import sys
from collections.abc import Callable
from typing import TypeVar

Made = TypeVar("Made")


def tidy(work: Callable[..., Made], *given: object) -> Made:
    """Do a piece of work and give back what memory it leaves.

    A process that stays as large as its largest piece of work is replaced by a fresh one, which must import everything
    anew.

    Parameters
    ----------
    work : callable
    *given : object
        What it is called with.

    Returns
    -------
    object
        What it returns.
    """
    made = work(*given)
    gc.collect()
    if "pyarrow" in sys.modules:
        sys.modules["pyarrow"].default_memory_pool().release_unused()
    # Only the C library of GNU has this.
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None) if sys.platform == "linux" else None
    if trim is not None:
        trim(0)
    return made
