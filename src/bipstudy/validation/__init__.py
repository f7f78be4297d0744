"""Validation: structure, rules across tables and personal data, with every finding at its place."""

from bipstudy.validation.accepted import Accepted, read_exceptions, read_thresholds
from bipstudy.validation.findings import Report
from bipstudy.validation.rules import NotApplicable
from bipstudy.validation.validate import validate

__all__ = ["Accepted", "NotApplicable", "Report", "read_exceptions", "read_thresholds", "validate"]
