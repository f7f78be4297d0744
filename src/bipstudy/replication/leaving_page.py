"""The pages of what leaves: the record for the checker, which stays, and the tables and figures that go."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pandas as pd

from bipstudy.disclosure import CHANGED, FAIL, INTERNAL, PASS, REVIEW
from bipstudy.report import Document
from bipstudy.report.numbers import count, number, percent
from bipstudy.texts import catalogue, text

if TYPE_CHECKING:
    from bipstudy.disclosure import Checked
    from bipstudy.replication.leaving import Leaving

__all__ = ["leaves_page", "outer_record", "record_page"]

_SECTIONS = ((FAIL, "held"), (REVIEW, "review"), (CHANGED, "changed"), (PASS, "passed"), (INTERNAL, "internal"))
_FEW = 10
_LIMITS = ("earlier", "levels", "words", "checker")
_RULES = ("threshold", "complement", "rounding", "curve", "models", "linked", "never")


def _say(found: Leaving, key: str, **values: object) -> str:
    """Return a sentence in the language of the pages."""
    return text(f"disclosure.{key}", found.language, **values)


def record_page(found: Leaving) -> Document:
    """Return the page of the record: every output, what happened to it, and why.

    Parameters
    ----------
    found : Leaving

    Returns
    -------
    Document
    """
    page = Document(_say(found, "record_title"), found.language, stamp=_say(found, "record_stamp"))
    _facts(page, found)
    numbers = {status: len(found.named(status)) for status, _ in _SECTIONS}
    page.lead(
        _say(
            found, "record_lead", total=len(found.outputs), leaves=len(_leaving(found)), changed=numbers[CHANGED],
            held=numbers[FAIL], review=len(found.waiting), internal=numbers[INTERNAL],
        )
    )  # fmt: skip
    page.lead(_say(found, "record_leaves"))
    for status, section in _SECTIONS:
        named = found.named(status)
        if named:
            page.section(_say(found, f"section_{section}"))
            caption = _say(found, f"section_{section}")
            if status == INTERNAL:
                page.details(caption, _table(found, named))
            else:
                page.table(_table(found, named), caption)
    if found.reasons:
        page.section(_say(found, "section_reasons"))
        rows = [(each.name, each.day, each.reviewer, each.words) for each in found.reasons]
        heads = [_say(found, f"column_{name}") for name in ("file", "date", "reviewer", "reason")]
        page.table(pd.DataFrame(rows, columns=heads), _say(found, "section_reasons"))
    _rules(page, found)
    page.section(_say(found, "section_limits"))
    page.bullets([_say(found, f"limit_{name}") for name in _LIMITS])
    return page


def leaves_page(found: Leaving) -> Document:
    """Return the page that leaves: the tables as they leave, and the figures drawn from them.

    Parameters
    ----------
    found : Leaving

    Returns
    -------
    Document
    """
    from bipstudy.replication.leaving import shown

    stamp = _say(found, "leaves_stamp", least=found.rules.threshold)
    page = Document(_say(found, "leaves_title"), found.language, stamp=stamp)
    _facts(page, found)
    page.lead(_say(found, "leaves_lead"))
    if found.pictures:
        page.section(_say(found, "section_figures"))
        for name, picture in found.pictures.items():
            page.figure(picture, _say(found, "figure_of", title=_title(found, found.outputs[name]).rstrip(".")))
    page.section(_say(found, "section_tables"))
    tables = [found.outputs[name] for name in _leaving(found) if found.outputs[name].frame is not None]
    for one in tables:
        caption, frame = f"{_title(found, one)} ({one.name})", _printed(shown(one), found.language)
        # A few are read at once; many are opened one by one.
        if len(tables) <= _FEW:
            page.table(frame, caption)
        else:
            page.details(caption, frame)
    _rules(page, found)
    return page


def outer_record(found: Leaving) -> dict[str, Any]:
    """Return what the receiver is told: what leaves, by which rules, and how many numbers are not shown.

    Why a number is hidden stays inside: that a cell is the small one, and not the one beside it, says how small it is.

    Parameters
    ----------
    found : Leaving

    Returns
    -------
    dict
    """
    whole = found.as_dict()
    outputs = [
        {name: one[name] for name in ("id", "title", "status", "suppressed", "columns_left_out")}
        for one in whole["outputs"]
        if one["leaves"]
    ]
    rules = [_rule(found, name) for name in _RULES]
    return {
        "format": whole["format"],
        "source": whole["source"],
        "rules": rules,
        "outputs": outputs,
        "files": whole["files"],
    }


def _leaving(found: Leaving) -> list[str]:
    """Return the outputs that leave."""
    return [name for name in found.outputs if name in found.files]


def _facts(page: Document, found: Leaving) -> None:
    """Write where the outputs come from and by which threshold they were checked."""
    birth = found.birth
    kind = "run" if birth else "own"
    release = "–" if birth.get("release") is None else birth["release"]
    page.fact(
        _say(found, "fact_from"), _say(found, f"fact_{kind}", release=release, plan=str(birth.get("plan", ""))[:16])
    )
    page.fact(_say(found, "fact_threshold"), str(found.rules.threshold))
    if found.rules.owner:
        page.fact(_say(found, "fact_owner"), found.rules.owner)


def _rule(found: Leaving, name: str) -> str:
    """Return a rule in words."""
    rules = found.rules
    dominance = percent(rules.dominance, found.language, 0)
    return _say(found, f"rule_{name}", least=rules.threshold, base=rules.base, degrees=rules.degrees,
                caseworkers=rules.caseworkers, dominance=dominance)  # fmt: skip


def _rules(page: Document, found: Leaving) -> None:
    """Write the rules."""
    page.section(_say(found, "section_rules"))
    page.bullets([_rule(found, name) for name in _RULES])


def _table(found: Leaving, named: list[str]) -> pd.DataFrame:
    """Return some outputs with what happened to them."""
    rows = []
    for name in named:
        one = found.outputs[name]
        status = "reviewed" if one.status == REVIEW and name in found.files else one.status
        why = text("disclosure.status_reviewed", found.language) if status == "reviewed" else one.why(found.language)
        rows.append((name, _title(found, one), count(one.suppressed, found.language), why or "–"))
    return pd.DataFrame(rows, columns=[_say(found, f"column_{name}") for name in ("file", "what", "cells", "why")])


def _title(found: Leaving, one: Checked) -> str:
    """Return what an output is called."""
    return one.output.title.get(found.language, one.name)


def _printed(frame: pd.DataFrame, language: str) -> pd.DataFrame:
    """Return a table as it is read: headings in words where there are any, numbers in the language's way."""
    known = catalogue("analyses")
    heads = [known[f"column.{name}"][language] if f"column.{name}" in known else str(name) for name in frame.columns]
    heads = heads if len(set(heads)) == len(heads) else [str(name) for name in frame.columns]
    columns = [[_written(value, language) for value in frame[name]] for name in frame.columns]
    return pd.DataFrame(dict(zip(heads, columns, strict=True)))


def _written(value: Any, language: str) -> str:
    """Return a cell in words."""
    if value is None or value is pd.NA or (isinstance(value, float) and value != value):
        return "–"
    if isinstance(value, str):
        return value
    if float(value).is_integer():
        return count(float(value), language)
    digits = f"{float(value):.10f}".rstrip("0").partition(".")[2]
    return number(float(value), language, max(len(digits), 1))
