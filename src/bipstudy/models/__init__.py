"""Estimators for panels and event histories, with errors that can be changed after the fit.

The library knows nothing of the study it was written for: it takes frames, formulas and column names. Every fit has
``tidy()`` (one row per term) and ``glance()`` (one row about the fit). Parts are imported when they are first used.

Examples
--------
>>> from bipstudy import models
>>> "discrete_hazard" in dir(models)
True
"""

from __future__ import annotations

import importlib
import sys
from types import ModuleType
from typing import Any

# Public name -> module that owns it.
_PUBLIC = {
    "ModelError": "covariance",
    "Estimates": "estimates",
    "Fit": "estimates",
    "cox": "cox",
    "CoxFit": "cox_fit",
    "kaplan_meier": "incidence",
    "cumulative_incidence": "incidence",
    "incidence_bounds": "bounds",
    "cause_specific_cox": "cause_specific",
    "adjusted_incidence": "adjusted",
    "fine_gray": "fine_gray",
    "discrete_hazard": "hazard",
    "linear_probability": "linear",
    "standardised_risk": "standardised",
    "bootstrap": "bootstrap",
    "score_bootstrap": "bootstrap",
    "wild_cluster_bootstrap": "wild",
    "competing_hazards": "competing",
    "conditional_logit": "conditional",
    "within_between": "conditional",
    "average_marginal_effects": "marginal",
    "adjust_p_values": "inference",
    "e_value": "inference",
    "freedman_lane": "inference",
    "oster_delta": "inference",
    "sign_flip_test": "inference",
    "impute": "imputation",
    "pool_estimates": "rubin",
    "censoring_weights": "censoring",
    "cumulative_hazard_column": "imputation",
    "cross_validate": "prediction",
    "prediction_performance": "performance",
    "calibration_curve": "performance",
    "decision_curve": "performance",
    "standardised_curves": "marginal",
    "instrumental": "instrumental",
    "dominance": "dominance",
    "rake": "raking",
    "random_effects": "pooling",
    "group_time_effects": "staggered",
    "sorted_halves": "halves",
    "chance_halves": "halves",
    "halves_by_chance": "halves",
    "random_intercept": "shrinkage",
    "caseworker_effects": "unit_effects",
    "reliability": "psychometrics",
    "intraclass_correlation": "agreement",
    "weighted_kappa": "agreement",
    "polychoric": "polychorics",
    "factor_analysis": "factors",
    "parallel_analysis": "factors",
    "factor_model": "factor_models",
    "measurement_invariance": "invariance",
}

__all__ = [*_PUBLIC]


def __getattr__(name: str) -> Any:
    """Import the module that owns `name` and hand the name on (PEP 562)."""
    if name not in _PUBLIC:
        raise AttributeError(f"module 'bipstudy.models' has no attribute {name!r}")
    value = getattr(importlib.import_module(f"bipstudy.models.{_PUBLIC[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_PUBLIC})


class _Package(ModuleType):
    """The package, in which a function keeps its name when a module of the same name is imported."""

    def __setattr__(self, name: str, value: Any) -> None:
        if name in _PUBLIC and isinstance(value, ModuleType):
            value = getattr(value, name)
        super().__setattr__(name, value)


sys.modules[__name__].__class__ = _Package
