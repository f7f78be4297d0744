"""The evidence that the estimators are right, as a dated report that anyone can rerun.

Estimators are tried on simulated data whose truth is known, and the primary estimand of every analysis on whole
simulated studies; both are judged by rules that are set beforehand. In a checkout of the source the tests that hold
reference values, second implementations and invariances are run too. What fails is said.

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
from bipstudy.certification.estimands import Estimand, estimand_designs, estimands, varied_designs
from bipstudy.certification.evidence import Evidence, gather
from bipstudy.certification.studies import run_studies

__all__ = [
    "Certificate",
    "Design",
    "Estimand",
    "Evidence",
    "bands",
    "certify",
    "designs",
    "estimand_designs",
    "estimands",
    "gather",
    "judge",
    "run_designs",
    "run_studies",
    "steps",
    "varied_designs",
]
