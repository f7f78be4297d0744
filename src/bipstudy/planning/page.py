"""The answer of a plan as a figure and a page."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pandas as pd

from bipstudy.report.curves import chances
from bipstudy.report.document import Document
from bipstudy.report.numbers import count, number, percent
from bipstudy.texts import text

if TYPE_CHECKING:
    from bipstudy.planning.power import PowerResult

# Below this a study is usually called too small.
WANTED = 0.8
_SIZES = (
    "organisations", "caseworkers", "participants_per_caseworker", "participants", "occasions", "response", "dropout",
    "follow_up_months",
)  # fmt: skip
_ALWAYS = ("participants", "caseworkers")
_Z = 1.96


def draw(result: PowerResult, language: str) -> Any:
    """Return the chance of a conclusive answer over the number of participants.

    Parameters
    ----------
    result : PowerResult
    language : {"sv", "en"}

    Returns
    -------
    matplotlib.figure.Figure
        If the Danish effect is true: how often the interval lies wholly on its side. If there is none: how often the
        interval leaves the Danish value out.
    """
    table = result.table
    parts = []
    for row in table.itertuples(index=False):
        share = "excludes_danish" if row.effect == "none" else "power"
        middle, error = getattr(row, share), getattr(row, f"{share}_error")
        parts.append(
            {
                "label": " · ".join(filter(None, [_effect(row, share, language), _apart(table, row, language)])),
                "x": row.participants,
                "estimate": middle,
                "conf_low": max(middle - _Z * error, 0.0),
                "conf_high": min(middle + _Z * error, 1.0),
            }
        )
    frame = pd.DataFrame(parts).sort_values(["label", "x"], kind="stable")
    return chances(
        frame,
        language=language,
        reference=WANTED,
        x_label=_say("participants", language),
        y_label=_say("chance", language),
    )


def _effect(row: Any, share: str, language: str) -> str:
    """Return what a line shows."""
    if row.effect in ("danish", "none"):
        return _say(f"line_{row.effect}", language)
    return _say("line_other", language, effect=number(row.assumed, language, 2))


def _apart(table: pd.DataFrame, row: Any, language: str) -> str:
    """Return what else differs between lines than the number of participants."""
    varying = [
        name
        for name in _SIZES
        if name not in ("participants", "participants_per_caseworker", "caseworkers") and _varies(table, name)
    ]
    return ", ".join(f"{_say(f'size_{name}', language)} {_plain(getattr(row, name), language)}" for name in varying)


def _plain(value: float, language: str) -> str:
    """Write a size without needless decimals."""
    return number(value, language, 0 if float(value).is_integer() else 2)


def compose(result: PowerResult, language: str) -> Document:
    """Write the plan as a document.

    Parameters
    ----------
    result : PowerResult
    language : {"sv", "en"}

    Returns
    -------
    Document
    """
    facts = result.facts
    asked = facts["question"]
    page = Document(_say("title", language), language, subtitle=_say(f"question_{asked}", language))
    page.fact(_say("scenario", language), f"{facts['scenario']} ({facts['scenario_hash'][:12]})")
    page.fact(_say("seed", language), str(facts["seed"]))
    page.fact(_say("danish_value", language), number(facts["danish"], language, 2))
    for words in sentences(result, language):
        page.lead(words)
    page.section(_say("curve_title", language))
    page.figure(draw(result, language), _say("figure", language))
    page.section(_say("table_title", language))
    page.table(
        shown(result.table, language),
        _say("table_caption", language),
        labels={name: _say(f"head_{name}", language) for name in _HEADS},
        decimals={"true": 2, "mean": 2, "width": 2, "occasions": 1, "response": 2, "dropout": 2},
        group="effect",
        note=_say("table_note", language),
    )
    page.section(_say("assumptions_title", language))
    page.bullets([_say(f"assumption_{name}", language) for name in ("world", "truth", "failed", "error")])
    return page


def sentences(result: PowerResult, language: str) -> list[str]:
    """Return the answer in words: the smallest study that settles the question, under each effect.

    Parameters
    ----------
    result : PowerResult
    language : {"sv", "en"}

    Returns
    -------
    list of str
    """
    found = []
    for effect, share, key in (("danish", "power", "confirmed"), ("none", "excludes_danish", "refused")):
        rows = result.table[result.table["effect"] == effect]
        if rows.empty:
            continue
        enough = rows[rows[share] >= WANTED].sort_values("participants", kind="stable")
        if len(enough):
            first = enough.iloc[0]
            values = {
                "participants": count(first["participants"], language),
                "share": percent(first[share], language, 0),
            }
            found.append(_say(f"answer_{key}", language, **values))
        else:
            largest = rows.sort_values("participants", kind="stable").iloc[-1]
            values = {
                "participants": count(largest["participants"], language),
                "share": percent(largest[share], language, 0),
            }
            found.append(_say(f"answer_not_{key}", language, **values))
    return found


_HEADS = (
    "participants", "caseworkers", "organisations", "occasions", "response", "dropout", "follow_up_months",
    "replicates", "failed", "true", "mean", "width", "coverage", "coverage_mean", "power", "conclusive",
    "excludes_danish",
)  # fmt: skip


def shown(table: pd.DataFrame, language: str) -> pd.DataFrame:
    """Return the columns that a reader needs, shares with their Monte Carlo errors."""
    frame = pd.DataFrame({"effect": [_heading(row, language) for row in table.itertuples(index=False)]})
    for name in _HEADS:
        if name in ("power", "conclusive", "excludes_danish"):
            frame[name] = [
                f"{percent(share, language, 0)} ± {number(100 * error, language, 1)}"
                for share, error in zip(table[name], table[f"{name}_error"], strict=True)
            ]
        elif name in ("coverage", "coverage_mean"):
            frame[name] = [percent(share, language, 0) for share in table[name]]
        elif name in _ALWAYS or name not in _SIZES or _varies(table, name):
            frame[name] = table[name]
    return frame


def _heading(row: Any, language: str) -> str:
    """Return what is true in the simulated world of a row."""
    key = f"effect_{row.effect}" if row.effect in ("danish", "none") else "effect_other"
    return _say(key, language, effect=number(row.assumed, language, 2))


def _varies(table: pd.DataFrame, name: str) -> bool:
    """Say whether a column has more than one value, missing ones counted."""
    return len(table[name].drop_duplicates()) > 1


def _say(key: str, language: str, **values: object) -> str:
    """Return a sentence of the catalogue."""
    return text(f"planning.{key}", language, **values)
