"""All designs, in the order in which they are shown."""

from __future__ import annotations

from bipstudy.certification.binary import binary_designs
from bipstudy.certification.design import Design
from bipstudy.certification.groups import group_designs
from bipstudy.certification.linear import linear_designs
from bipstudy.certification.survival import survival_designs

__all__ = ["designs"]


def designs() -> tuple[Design, ...]:
    """Return every design of the certificate.

    Returns
    -------
    tuple of Design

    Examples
    --------
    >>> [design.name for design in designs()][-1]
    'censoring_weights'
    """
    return (*survival_designs(), *binary_designs(), *linear_designs(), *group_designs())
