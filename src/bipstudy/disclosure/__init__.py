"""What may leave: plain frames in, plain frames out that hold nothing by which a person could be recognised.

Knows no table of BIP: what each column holds is said by whoever asks, and what is not said does not leave.

References
----------
Griffiths, E., and others (2019). Handbook on statistical disclosure control for outputs. Safe Data Access
Professionals Working Group.
"""

from bipstudy.disclosure.check import CHANGED, FAIL, INTERNAL, PASS, REVIEW, Checked, check, check_all, has_identity
from bipstudy.disclosure.outputs import KINDS, Output, output
from bipstudy.disclosure.rules import Rules
from bipstudy.disclosure.small import FLOOR, REASONS, THRESHOLD, small_cells

__all__ = [
    "CHANGED", "FAIL", "FLOOR", "INTERNAL", "KINDS", "PASS", "REASONS", "REVIEW", "THRESHOLD", "Checked", "Output",
    "Rules", "check", "check_all", "has_identity", "output", "small_cells",
]  # fmt: skip
