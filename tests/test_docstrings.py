"""The examples of the docstrings run, and every public function has the parts that a reader needs."""

import doctest
import importlib
import inspect
import pkgutil
from pathlib import Path

import pytest

import bipstudy

MODULES = sorted(module.name for module in pkgutil.walk_packages(bipstudy.__path__, "bipstudy."))


@pytest.mark.parametrize("name", ["bipstudy", *MODULES])
def test_the_examples_run(name):
    module = importlib.import_module(name)
    options = doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS
    assert doctest.testmod(module, optionflags=options).failed == 0


def public_functions():
    """Return what a researcher calls: the public names, the estimators and the questions."""
    from bipstudy import analyses, disclosure, models, planning

    rooms = (models, analyses, planning, disclosure)
    owners = [(bipstudy, bipstudy.__all__), *((room, room.__all__) for room in rooms)]
    return [
        pytest.param(getattr(owner, name), id=f"{owner.__name__}.{name}")
        for owner, names in owners
        for name in names
        if callable(getattr(owner, name)) and not inspect.isclass(getattr(owner, name))
    ]


def test_every_public_name_stands_in_the_reference():
    from bipstudy import analyses, disclosure, models, planning

    reference = Path(__file__).parents[1] / "docs" / "reference"
    listed = set((reference / "api.md").read_text().split()) | set((reference / "models.md").read_text().split())
    expected = {*bipstudy.__all__, *models.__all__, *(f"analyses.{name}" for name in analyses.__all__)}
    expected |= {f"planning.{name}" for name in planning.__all__}
    # Its constants stand where they are used.
    expected |= {f"disclosure.{name}" for name in disclosure.__all__ if not name.isupper()}
    # What the analyses hand back is described with them.
    helpers = {"analyses.Result", "analyses.FigureSpec", "analyses.Sentence", "analyses.ESTIMATE_COLUMNS"}
    assert expected - listed <= {"__version__", "analyses", "disclosure", "models", "planning", "replication", *helpers}


@pytest.mark.parametrize("function", public_functions())
def test_a_public_function_says_what_it_takes_gives_and_shows_an_example(function):
    documented = inspect.getdoc(function)
    parameters = [name for name in inspect.signature(function).parameters if not name.startswith("_")]
    assert ">>>" in documented
    assert "Returns\n---" in documented
    if parameters:
        assert "Parameters\n---" in documented
    section = documented.split("Returns\n---")[0]
    undocumented = [name for name in parameters if name not in section]
    assert not undocumented
