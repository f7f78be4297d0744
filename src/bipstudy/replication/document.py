"""The report of a replication: each question, its answer, and the Danish finding beside it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import pandas as pd

from bipstudy.analyses.wording import written
from bipstudy.replication import groups, worlds
from bipstudy.replication.appendix import (
    disclosure,
    errors_table,
    estimates_table,
    flow_table,
    measures_table,
    method,
    planned,
    provenance,
)
from bipstudy.replication.beside import Words, benchmark_of, danish_words, difference, ours_words, records, shown_id
from bipstudy.replication.layouts import group_heading, printed
from bipstudy.report import Answer, Document
from bipstudy.report.numbers import number, percent
from bipstudy.texts import text

if TYPE_CHECKING:
    from bipstudy.replication.run import Run

# The Danish finding that stands beside the answer to each question on the first page.
BESIDE = {
    "participants": "D1",
    "transitions": "R7",
    "indicators": "R1",
    "readiness": "R14",
    "belief": "R2a",
    "continuity": "R3",
    "activities": "R12",
    "progression": "R17",
}
TONES = {
    "consistent in direction": "agrees",
    "consistent": "agrees",
    "inconsistent in direction": "differs",
    "inconsistent": "differs",
}
_HASH_SHOWN = 16


def compose(run: Run, figures: Mapping[str, Any] | None = None) -> Document:
    """Return the report of a run.

    Parameters
    ----------
    run : Run
    figures : mapping of str to Figure or Picture, optional
        By name; those of the run if left out.

    Returns
    -------
    Document
    """
    say = Words(run.language)
    drawn = run.figures if figures is None else figures
    page = Document(say("title"), run.language, subtitle=say("subtitle"), stamp=text("report.internal", run.language))
    _facts(page, run, say)
    page.lead(say("lead", **{name: number(value, run.language, 0) for name, value in run.size.items()}))
    _brief(page, run, say, drawn)
    for name in run.plan.questions:
        _question(page, run, name, say, drawn)
    _agreement(page, run, say, drawn)
    groups.section(page, run, say)
    worlds.section(page, run, say, drawn)
    planned(page, run, say)
    method(page, run, say)
    disclosure(page, run, say)
    provenance(page, run, say)
    return page


def _facts(page: Document, run: Run, say: Words) -> None:
    """Write what the report rests on under the title."""
    release = run.birth["release"]
    page.fact(say("fact_release"), say("fact_no_release") if release is None else str(release))
    page.fact(say("fact_participants"), number(run.size["participants"], run.language, 0))
    page.fact(say("fact_organisations"), number(run.size["organisations"], run.language, 0))
    page.fact(say("fact_version"), run.birth["versions"]["bipstudy"])
    page.fact(say("fact_hash"), run.birth["study_hash"][:_HASH_SHOWN])


def _brief(page: Document, run: Run, say: Words, drawn: Mapping[str, Any]) -> None:
    """Write the first page: each question, its answer and the Danish finding."""
    page.section(say("section_brief"))
    table = run.agreement.set_index("benchmark")
    cards = []
    for name in run.plan.questions:
        question = text(f"analyses.{name}.question", run.language)
        if name in run.skipped:
            cards.append(Answer(question, say("skipped", why=run.skipped[name].message(run.language))))
            continue
        answer = run.results[name].answer(run.language)
        row = table.loc[BESIDE[name]] if BESIDE.get(name) in table.index else None
        if row is None or pd.isna(row["ours"]):
            cards.append(Answer(question, answer))
            continue
        cards.append(
            Answer(
                question,
                answer,
                ours=ours_words(run, benchmark_of(run, BESIDE[name]), row),
                theirs=danish_words(benchmark_of(run, BESIDE[name]), run.language),
                verdict=f"{row['label']}: {_judged(row, say)}",
                tone="open" if row["warning"] else TONES.get(row["verdict"], "open"),
            )
        )
    page.answers(cards)
    if "agreement_all" in drawn:
        page.figure(drawn["agreement_all"], say("figure_all"))
    _verdicts(page, run, say)


def _verdicts(page: Document, run: Run, say: Words) -> None:
    """Write how many findings agree, and whether the plan was kept."""
    verdicts = run.agreement["verdict"]
    judged = {
        "same": int(verdicts.isin(["consistent in direction", "consistent"]).sum()),
        "open": int((verdicts == "inconclusive").sum()),
        "other": int(verdicts.isin(["inconsistent in direction", "inconsistent"]).sum()),
    }
    shown = int((verdicts == "no verdict").sum())
    page.paragraph(
        say(
            "brief_verdicts",
            total=len(verdicts),
            judged=sum(judged.values()),
            shown=shown,
            compared=shown + sum(judged.values()),
            **judged,
        )
    )


def _question(page: Document, run: Run, name: str, say: Words, drawn: Mapping[str, Any]) -> None:
    """Write the section of one question."""
    page.section(text(f"analyses.{name}.title", run.language))
    page.paragraph(text(f"analyses.{name}.question", run.language))
    if name in run.skipped:
        page.callout(say("skipped", why=run.skipped[name].message(run.language)), tone="warning")
        return
    result = run.results[name]
    page.callout(result.answer(run.language))
    page.paragraph(say("estimand_is", estimand=result.estimand(run.language)), quiet=True)
    own = [benchmark.id for benchmark in run.benchmarks if benchmark.id in set(result.estimates["benchmark"])]
    rows = run.agreement[run.agreement["benchmark"].isin(own)]
    if len(rows):
        page.table(_beside(run, rows, say), say("caption_beside"))
    for figure, spec in result.figures.items():
        page.figure(drawn[f"{name}_{figure}"], result.words(spec.caption, run.language))
    for table, frame in result.tables.items():
        key = f"{name}.{table}"
        if len(frame):
            shown = printed(key, frame, run.language)
            page.table(
                shown,
                result.words(f"analyses.{name}.table_{table}", run.language),
                group=group_heading(key, run.language),
            )
    page.section(say("limits"), level=3)
    page.bullets(result.notes_in(run.language))
    page.details(say("flow_summary"), flow_table(result, run.language))
    page.details(say("estimates_summary"), estimates_table(result, run.language), in_pdf=False)


def _beside(run: Run, rows: pd.DataFrame, say: Words) -> pd.DataFrame:
    """Return Danish findings with our estimates and the verdict."""
    found = []
    for row in rows.to_dict("records"):
        benchmark = benchmark_of(run, row["benchmark"])
        found.append(
            [
                shown_id(row["benchmark"]),
                row["label"],
                danish_words(benchmark, run.language),
                ours_words(run, benchmark, row),
                _judged(row, say),
            ]
        )
    return pd.DataFrame(found, columns=say.heads("id", "finding", "danish", "ours", "verdict"))


def _judged(row: Any, say: Words) -> str:
    """Return the verdict in words, with what speaks against it."""
    verdict = say(f"verdict.{row['verdict']}")
    return f"{verdict}. {row['warning']}" if row["warning"] else verdict


def _agreement(page: Document, run: Run, say: Words, drawn: Mapping[str, Any]) -> None:
    """Write the section that holds all published findings against ours."""
    page.section(say("section_agreement"))
    errors = any(benchmark.std_error is not None for benchmark in run.benchmarks)
    page.paragraph(say("agreement_intro_errors" if errors else "agreement_intro"))
    page.paragraph(say("agreement_zero", smallest=number(run.plan.smallest_effect["sd"], run.language, 2)))
    if "agreement_signs" in drawn:
        page.figure(drawn["agreement_signs"], say("figure_signs"))
    table = _beside(run, run.agreement, say)
    table.insert(4, say("column.difference"), [difference(row, run.language) for row in records(run.agreement)])
    page.table(table, say("table_agreement"))
    parts = run.agreement_parts.dropna(subset=["ours"])
    if len(parts):
        page.table(_parts(parts, run.language, say), say("table_parts"))
    words = run.agreement[["benchmark", "label", "reason", "reading", "differences"]].copy()
    words["benchmark"] = words["benchmark"].map(shown_id)
    words.columns = say.heads("id", "finding", "reason", "reading", "differences")
    page.details(say("summary_differences"), words)
    page.details(say("summary_errors"), errors_table(run, say), note=say("note_errors"))
    measured = measures_table(run, say)
    if len(measured):
        page.table(measured, say("table_measures"), note=say("note_measures"))


def _parts(parts: pd.DataFrame, language: str, say: Words) -> pd.DataFrame:
    """Return the numbers of findings that consist of several, with ours."""
    rows = [
        [
            shown_id(row["benchmark"]),
            row["label"],
            percent(row["danish"], language, 0),
            written("share", row["ours"], row["conf_low"], row["conf_high"], language),
            written("risk_difference", row["difference"], row["difference_low"], row["difference_high"], language),
        ]
        for row in records(parts)
    ]
    return pd.DataFrame(rows, columns=say.heads("id", "finding", "danish", "ours", "difference"))
