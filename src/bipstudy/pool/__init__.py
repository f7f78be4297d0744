"""The pool of a study: accepted submissions, numbered releases, and the study that a release is."""

from bipstudy.pool.changes import Changes, TableChange, compare
from bipstudy.pool.erasure import Erasure
from bipstudy.pool.load import load_study
from bipstudy.pool.quality import Quality, quality
from bipstudy.pool.receipts import Receipt, ReleaseDiff
from bipstudy.pool.store import Pool
from bipstudy.pool.upgrade import Migration, Upgrade, upgrade_pool

__all__ = [
    "Changes",
    "Erasure",
    "Migration",
    "Pool",
    "Quality",
    "Receipt",
    "ReleaseDiff",
    "TableChange",
    "Upgrade",
    "compare",
    "load_study",
    "quality",
    "upgrade_pool",
]
