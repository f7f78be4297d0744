"""The public name of an analysis is its function, whatever is imported first."""

from __future__ import annotations

import subprocess
import sys

import pytest

import bipstudy as bip

NAMES = [
    "participants",
    "transitions",
    "indicators",
    "readiness",
    "belief",
    "continuity",
    "activities",
    "progression",
    "insights",
    "caseworkers",
    "measurement",
    "training",
]


def test_the_list_is_in_the_order_of_the_report_and_is_the_callers_own() -> None:
    assert bip.analyses.list() == NAMES
    bip.analyses.list().clear()
    assert bip.analyses.list() == NAMES


@pytest.mark.parametrize(
    "imports",
    [
        "import bipstudy.analyses.{name}",
        "import bipstudy.analyses; import bipstudy.analyses.{name}",
        "from bipstudy.analyses.{name} import NAME",
        "import importlib; importlib.import_module('bipstudy.analyses.{name}')",
        "from bipstudy.analyses import {name}; import bipstudy.analyses.{name} as again",
    ],
)
def test_the_name_is_the_function_also_after_the_module_is_imported(imports: str) -> None:
    lines = [imports.format(name=name) for name in NAMES]
    lines += ["import sys", "import bipstudy as bip"]
    lines += [f"assert callable(bip.analyses.{name})" for name in NAMES]
    lines += [f"assert not callable(sys.modules['bipstudy.analyses.{name}'])" for name in NAMES]
    subprocess.run([sys.executable, "-c", "\n".join(lines)], check=True)


@pytest.mark.parametrize("name", NAMES)
def test_each_says_what_it_estimates_and_what_it_cannot_show(name: str) -> None:
    words = " ".join(getattr(bip.analyses, name).__doc__.split())
    for part in ("Estimand", "Population:", "Danish finding", "Models:", "Cannot show:", "Returns"):
        assert part in words
