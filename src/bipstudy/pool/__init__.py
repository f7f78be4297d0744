"""The pool of a study: accepted submissions, numbered releases, and the study that a release is."""

from bipstudy.pool.changes import Changes, TableChange, compare
from bipstudy.pool.load import load_study
from bipstudy.pool.receipts import Receipt, ReleaseDiff
from bipstudy.pool.store import Pool

__all__ = ["Changes", "Pool", "Receipt", "ReleaseDiff", "TableChange", "compare", "load_study"]
