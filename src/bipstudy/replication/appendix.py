"""The back of a report: what was planned, the method, where the numbers come from, and the long tables."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pandas as pd

from bipstudy.analyses import Result
from bipstudy.analyses.result import worded
from bipstudy.analyses.wording import written
from bipstudy.replication.agreement import NEEDS_DANISH_ERROR, NOT_COMPUTABLE
from bipstudy.replication.beside import Words, records, shown_id
from bipstudy.replication.layouts import small, unbroken
from bipstudy.replication.summaries import DELIVERED
from bipstudy.report import Document
from bipstudy.report.numbers import count, interval, number, percent
from bipstudy.texts import catalogue, text

if TYPE_CHECKING:
    from bipstudy.replication.run import Run


def flow_table(result: Result, language: str) -> pd.DataFrame:
    """Return who is included, step by step."""
    words = worded(result.flow, language)
    heads = {name: text(f"analyses.column.{name}", language) for name in ("step", "participants", "rows")}
    return words[[*heads]].rename(columns=heads)


def estimates_table(result: Result, language: str) -> pd.DataFrame:
    """Return every estimate of an analysis as people read it."""
    rows = []
    for row in records(result.estimates):
        shown = written(row["scale"], row["estimate"], row["conf_low"], row["conf_high"], language)
        rows.append(
            [
                text(f"analyses.contrast.{row['contrast']}", language) + _of_item(row, language),
                text(f"analyses.outcome.{row['outcome']}", language),
                text(f"analyses.adjustment.{row['adjustment']}", language),
                shown,
                unbroken(small(row["p_value"], language)),
                row["n"],
            ]
        )
    names = ("contrast", "outcome", "adjustment", "estimate", "p_value", "n")
    # An estimate that answers to two findings is delivered twice, and read once.
    return pd.DataFrame(rows, columns=[text(f"analyses.column.{name}", language) for name in names]).drop_duplicates()


def _of_item(row: Any, language: str) -> str:
    """Return what an estimate is of where its contrast does not say: an item, or optimism about all others."""
    from bipstudy import schema

    if row["term"] == "optimism_all_others":
        return f" ({text('analyses.others.optimism_all_others', language).lower()})"
    items = schema.items()
    return f": {items[row['term']].label[language]}" if row["term"] in items else ""


def errors_table(run: Run, say: Words) -> pd.DataFrame:
    """Return the smallest Danish errors at which the studies agree, and what waits for Danish errors."""
    rows = []
    for row in records(run.agreement.dropna(subset=["smallest_danish_error"])):
        inside = "" if pd.isna(row["danish_inside"]) else say("inside.yes" if row["danish_inside"] else "inside.no")
        value = row[NEEDS_DANISH_ERROR[0]]
        waiting = (
            say("measures.not_computable") if value == NOT_COMPUTABLE else say("measures.p", p=_p(value, run.language))
        )
        share = "–" if pd.isna(row["bootstrap_share"]) else percent(row["bootstrap_share"], run.language, 1)
        smallest = number(row["smallest_danish_error"], run.language, 3)
        rows.append([shown_id(row["benchmark"]), row["label"], inside, share, smallest, waiting])
    return pd.DataFrame(rows, columns=say.heads("id", "finding", "inside", "bootstrap", "smallest", "measures"))


def measures_table(run: Run, say: Words) -> pd.DataFrame:
    """Return what can be said of the findings whose Danish standard error is known; no rows without any."""
    rows = []
    for row in records(run.agreement):
        if row["difference_p"] == NOT_COMPUTABLE:
            continue
        scale = row["scale"]
        ends = [_ends(row, f"{name}_low", f"{name}_high", scale, run.language) for name in _PREDICTIONS]
        pooled = [
            written(scale, row[name], row[f"{name}_low"], row[f"{name}_high"], run.language)
            for name in ("pooled_fixed", "pooled_random")
        ]
        tests = [
            "–" if row[name] == NOT_COMPUTABLE else _p(row[name], run.language)
            for name in ("difference_p", "equivalence_p", "sceptical_p")
        ]
        rows.append([shown_id(row["benchmark"]), *tests, *ends, *pooled])
    names = ("id", "difference_p", "equivalence_p", "sceptical_p", "prediction", "prediction_apart", "fixed", "random")
    return pd.DataFrame(rows, columns=say.heads(*names))


_PREDICTIONS = ("prediction", "prediction_apart")


def _ends(row: Any, low: str, high: str, scale: str, language: str) -> str:
    """Return the ends of an interval on a scale."""
    if row[low] == NOT_COMPUTABLE:
        return "–"
    if scale in ("share", "risk"):
        return interval(row[low], row[high], language, 1, as_percent=True)
    if scale == "risk_difference":
        points = interval(100 * row[low], 100 * row[high], language, 1)
        return text("analyses.number.points", language, value=points)
    return interval(row[low], row[high], language, 2)


def _p(value: Any, language: str) -> str:
    """Return a p-value in words."""
    return small(float(value), language)


def planned(page: Document, run: Run, say: Words) -> None:
    """Write what was planned, what came of it, and every deviation."""
    page.section(say("section_plan"))
    if run.registration is None:
        page.paragraph(say("plan_not_registered"))
    else:
        registered = run.registration
        page.paragraph(say("plan_registered", date=registered.registered_at[:10], hash=registered.plan_hash[:16]))
        if len(run.deviations):
            table = run.deviations.set_axis(say.heads("item", "planned", "done"), axis=1)
            page.table(table, say("table_deviations"))
        else:
            page.paragraph(say("plan_kept"))
    page.table(_planned(run, say), say("table_planned"), group=say("column.question"))
    if len(run.bootstrap):
        page.paragraph(say("bootstrap_is", replications=count(run.plan.replications, run.language)), quiet=True)
        page.details(say("summary_bootstrap"), _bootstrap(run, say))


def _planned(run: Run, say: Words) -> pd.DataFrame:
    """Return the primary estimates as people read them."""
    rows = []
    for row in records(run.planned):
        if row["status"] == DELIVERED:
            shown = written(row["scale"], row["estimate"], row["conf_low"], row["conf_high"], run.language)
        else:
            shown = say(f"status.{row['status']}")
        words = _named(row, run.language)
        rows.append([text(f"analyses.{row['analysis']}.title", run.language), *words, shown])
    columns = [*say.heads("question"), *_heads(run.language), text("analyses.column.estimate", run.language)]
    return pd.DataFrame(rows, columns=columns).drop_duplicates()


def _bootstrap(run: Run, say: Words) -> pd.DataFrame:
    """Return bootstrap errors and intervals beside the estimates."""
    rows = []
    for row in records(run.bootstrap):
        # The interval of a count is a bootstrap's already, of draws of its own.
        if row["scale"] == "other" and row["term"] == "count":
            continue
        shown = written(row["scale"], row["estimate"], row["low"], row["high"], run.language)
        rows.append([*_named(row, run.language), shown, number(row["std_error"], run.language, 4)])
    return pd.DataFrame(
        rows, columns=[*_heads(run.language), *say.heads("percentiles", "bootstrap_error")]
    ).drop_duplicates()


def _named(row: Any, language: str) -> list[str]:
    """Return contrast, outcome and adjustment of an estimate in words; a plan may name what no analysis knows."""
    known = catalogue("analyses")
    words = []
    for name in ("contrast", "outcome", "adjustment"):
        key = f"{name}.{row[name]}"
        words.append(known[key][language] if key in known else str(row[name]) or "–")
    words[0] += _of_item(row, language)
    return words


def _heads(language: str) -> list[str]:
    """Return the headings of contrast, outcome and adjustment."""
    return [text(f"analyses.column.{name}", language) for name in ("contrast", "outcome", "adjustment")]


def method(page: Document, run: Run, say: Words) -> None:
    """Write how the numbers were made, as the plan defines it."""
    page.section(say("section_method"))
    for part in ("time", "outcome", "models", "errors", "background"):
        page.paragraph(say(f"method_{part}"))
    if run.plan.leave_out:
        page.paragraph(say("method_left_out", names=", ".join(run.plan.leave_out)))
    rows = [
        [text(f"analyses.{name}.title", run.language), ", ".join(f"{key} = {value}" for key, value in own.items())]
        for name, own in run.birth["settings"].items()
        if own
    ]
    if rows:
        page.table(pd.DataFrame(rows, columns=say.heads("question", "settings")), say("table_settings"))


def disclosure(page: Document, run: Run, say: Words) -> None:
    """Write how many cells rest on so few people that they are not to leave, and in which files."""
    cells = run.disclosure
    least = run.plan.disclosure_threshold
    page.section(say("section_disclosure"))
    if cells.empty:
        page.paragraph(say("disclosure_none", least=least))
        return
    by_file = cells.groupby("file", sort=True)
    page.paragraph(say("disclosure_some", cells=count(len(cells), run.language), files=len(by_file), least=least))
    rows = [
        (
            file,
            count(len(part), run.language),
            ", ".join(say(f"disclosure.{name}") for name in sorted(set(part["reason"]))),
        )
        for file, part in by_file
    ]
    page.details(say("summary_disclosure"), pd.DataFrame(rows, columns=say.heads("file", "cells", "reasons")))


def provenance(page: Document, run: Run, say: Words) -> None:
    """Write where the numbers come from."""
    page.section(say("section_provenance"))
    page.paragraph(say("provenance_intro"))
    release = run.birth["release"]
    rows = [
        (say("fact_release"), say("fact_no_release") if release is None else str(release)),
        (say("fact_hash"), run.birth["study_hash"]),
        *((say("row_table", name=name), digest) for name, digest in run.birth["tables"].items()),
        (say("row_benchmarks"), run.birth["benchmarks"]),
        (say("row_plan"), run.birth["plan"]),
        (say("row_source"), str(run.birth["code"]["source"])),
        *((say(f"row_{name}"), value) for name in ("commit", "lock") if (value := run.birth["code"][name])),
        (say("row_seed"), str(run.birth["seed"])),
        *((say("row_version", name=name), version) for name, version in run.birth["versions"].items()),
    ]
    page.table(pd.DataFrame(rows, columns=say.heads("what", "value")), say("table_provenance"))
