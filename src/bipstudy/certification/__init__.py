"""The evidence that the estimators are right, as a dated report that anyone can rerun.

Estimators are tried on simulated data whose truth is known, and judged by rules that are set beforehand; in a checkout
of the source the tests that hold reference values, second implementations and invariances are run too. What fails is
said.

Examples
--------
>>> from bipstudy.certification import designs
>>> len({design.name for design in designs()}) == len(designs())
True
"""

from __future__ import annotations

from bipstudy.certification.certificate import Certificate, certify, steps
from bipstudy.certification.coverage import bands, judge, run_designs
from bipstudy.certification.design import Design
from bipstudy.certification.designs import designs
from bipstudy.certification.evidence import Evidence, gather

__all__ = [
    "Certificate",
    "Design",
    "Evidence",
    "bands",
    "certify",
    "designs",
    "gather",
    "judge",
    "run_designs",
    "steps",
]
