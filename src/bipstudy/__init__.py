"""Research package for a Swedish study of BIP, the Danish Employment Indicator Project.

Everything a researcher needs is reached with one import; the parts are loaded when they are first used, so that
``import bipstudy`` and the command line start at once.

Examples
--------
>>> import bipstudy as bip
>>> study = bip.load_example()
>>> len(study.participants) > 0
True
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from bipstudy import analyses as analyses
    from bipstudy import models as models

__version__ = "0.1.0"

# Public name -> (module that owns it, its name there; empty for the module itself).
_PUBLIC = {
    "analyses": ("bipstudy.analyses", ""),
    "certify": ("bipstudy.certification", "certify"),
    "replicate": ("bipstudy.replication", "replicate"),
    "replication": ("bipstudy.replication", ""),
    "Pool": ("bipstudy.pool", "Pool"),
    "load_study": ("bipstudy.pool", "load_study"),
    "load_submission": ("bipstudy.loaders", "load_submission"),
    "Study": ("bipstudy.study", "Study"),
    "build_episodes": ("bipstudy.panel", "build_episodes"),
    "build_panel": ("bipstudy.panel", "build_panel"),
    "build_states": ("bipstudy.panel", "build_states"),
    "load_example": ("bipstudy.simulation", "load_example"),
    "simulate_study": ("bipstudy.simulation", "simulate_study"),
    "disclosure": ("bipstudy.disclosure", ""),
    "models": ("bipstudy.models", ""),
    "planning": ("bipstudy.planning", ""),
    "validate": ("bipstudy.validation.validate", "validate"),
}

__all__ = ["__version__", *_PUBLIC]


def __getattr__(name: str) -> Any:
    """Import the part of the package that owns `name` and hand it on (PEP 562)."""
    if name not in _PUBLIC:
        raise AttributeError(f"module 'bipstudy' has no attribute {name!r}")
    module_name, attribute = _PUBLIC[name]
    module = importlib.import_module(module_name)
    value = getattr(module, attribute) if attribute else module
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_PUBLIC})
