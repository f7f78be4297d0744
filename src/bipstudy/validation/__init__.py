"""Validation: structure, rules across tables and personal data, with every finding at its place."""

from bipstudy.validation.findings import NotApplicable, Report
from bipstudy.validation.validate import validate

__all__ = ["NotApplicable", "Report", "validate"]
