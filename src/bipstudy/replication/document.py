"""The report of a replication: each question, its answer, and the Danish finding beside it."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pandas as pd

from bipstudy import analyses
from bipstudy.analyses import FigureSpec, Result
from bipstudy.analyses.result import worded
from bipstudy.analyses.wording import written
from bipstudy.replication.agreement import NEEDS_DANISH_ERROR, NOT_COMPUTABLE, RATIOS, SMALLEST_EFFECT
from bipstudy.replication.benchmarks import Benchmark
from bipstudy.replication.layouts import group_heading, printed, small, unbroken
from bipstudy.report import Answer, Document
from bipstudy.report.numbers import interval, number, percent
from bipstudy.texts import text

if TYPE_CHECKING:
    from bipstudy.replication.run import Run

# The Danish finding that stands beside the answer to each question on the first page.
BESIDE = {
    "participants": "D1",
    "transitions": "R7",
    "indicators": "R1",
    "belief": "R5a",
    "continuity": "R3",
    "activities": "R12",
}
TONES = {
    "consistent in direction": "agrees",
    "consistent": "agrees",
    "inconsistent in direction": "differs",
    "inconsistent": "differs",
}
_HASH_SHOWN = 16


def compose(run: Run) -> Document:
    """Return the report of a run.

    Parameters
    ----------
    run : Run

    Returns
    -------
    Document
    """
    say = _Words(run.language)
    page = Document(say("title"), run.language, subtitle=say("subtitle"), stamp=text("report.internal", run.language))
    _facts(page, run, say)
    page.lead(say("lead", **{name: number(value, run.language, 0) for name, value in run.size.items()}))
    _brief(page, run, say)
    for name in analyses.list():
        _question(page, run, name, say)
    _agreement(page, run, say)
    page.section(say("section_method"))
    for part in ("time", "outcome", "models", "errors", "background"):
        page.paragraph(say(f"method_{part}"))
    _provenance(page, run, say)
    return page


class _Words:
    """Sentences of this part of the catalogue in one language."""

    def __init__(self, language: str) -> None:
        self.language = language

    def __call__(self, key: str, **values: object) -> str:
        return text(f"replication.{key}", self.language, **values)

    def heads(self, *names: str) -> list[str]:
        """Return headings of columns."""
        return [self(f"column.{name}") for name in names]


def _facts(page: Document, run: Run, say: _Words) -> None:
    """Write what the report rests on under the title."""
    release = run.birth["release"]
    page.fact(say("fact_release"), say("fact_no_release") if release is None else str(release))
    page.fact(say("fact_participants"), number(run.size["participants"], run.language, 0))
    page.fact(say("fact_organisations"), number(run.size["organisations"], run.language, 0))
    page.fact(say("fact_version"), run.birth["versions"]["bipstudy"])
    page.fact(say("fact_hash"), run.birth["study_hash"][:_HASH_SHOWN])


def _brief(page: Document, run: Run, say: _Words) -> None:
    """Write the first page: each question, its answer and the Danish finding."""
    page.section(say("section_brief"))
    table = run.agreement.set_index("benchmark")
    cards = []
    for name in analyses.list():
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
                ours=_ours_words(run, _benchmark(run, BESIDE[name]), row),
                theirs=_danish_words(_benchmark(run, BESIDE[name]), run.language),
                verdict=f"{row['label']}: {say('verdict.' + row['verdict'])}",
                tone=TONES.get(row["verdict"], "open"),
            )
        )
    page.answers(cards)
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


def _question(page: Document, run: Run, name: str, say: _Words) -> None:
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
        page.figure(run.figures[f"{name}_{figure}"], result.words(spec.caption, run.language))
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
    page.details(say("flow_summary"), _flow(result, run.language))
    page.details(say("estimates_summary"), _all_estimates(result, run.language))


def _beside(run: Run, rows: pd.DataFrame, say: _Words) -> pd.DataFrame:
    """Return Danish findings with our estimates and the verdict."""
    found = []
    for row in rows.to_dict("records"):
        benchmark = _benchmark(run, row["benchmark"])
        found.append(
            [
                row["benchmark"],
                row["label"],
                _danish_words(benchmark, run.language),
                _ours_words(run, benchmark, row),
                say(f"verdict.{row['verdict']}"),
            ]
        )
    return pd.DataFrame(found, columns=say.heads("id", "finding", "danish", "ours", "verdict"))


def _agreement(page: Document, run: Run, say: _Words) -> None:
    """Write the section that holds all published findings against ours."""
    page.section(say("section_agreement"))
    page.paragraph(say("agreement_intro"))
    page.paragraph(say("agreement_zero", smallest=number(SMALLEST_EFFECT["sd"], run.language, 2)))
    if any(benchmark.std_error is not None for benchmark in run.benchmarks):
        page.paragraph(say("agreement_some_errors"))
    for name in ("all", "signs"):
        if f"agreement_{name}" in run.figures:
            page.figure(run.figures[f"agreement_{name}"], say(f"figure_{name}"))
    table = _beside(run, run.agreement, say)
    table.insert(4, say("column.difference"), [_difference(row, run.language) for row in _records(run.agreement)])
    page.table(table, say("table_agreement"))
    parts = run.agreement_parts.dropna(subset=["ours"])
    if len(parts):
        page.table(_parts(parts, run.language, say), say("table_parts"))
    words = run.agreement[["benchmark", "label", "reason", "reading", "differences"]].copy()
    words.columns = say.heads("id", "finding", "reason", "reading", "differences")
    page.details(say("summary_differences"), words)
    page.details(say("summary_errors"), _errors(run, say), note=say("note_errors"))


def _parts(parts: pd.DataFrame, language: str, say: _Words) -> pd.DataFrame:
    """Return the numbers of findings that consist of several, with ours."""
    rows = [
        [
            row["benchmark"],
            row["label"],
            percent(row["danish"], language, 0),
            written("share", row["ours"], row["conf_low"], row["conf_high"], language),
            written("risk_difference", row["difference"], row["difference_low"], row["difference_high"], language),
        ]
        for row in _records(parts)
    ]
    return pd.DataFrame(rows, columns=say.heads("id", "finding", "danish", "ours", "difference"))


def _errors(run: Run, say: _Words) -> pd.DataFrame:
    """Return the smallest Danish errors at which the studies agree, and what waits for Danish errors."""
    rows = []
    for row in _records(run.agreement.dropna(subset=["smallest_danish_error"])):
        inside = "" if pd.isna(row["danish_inside"]) else say("inside.yes" if row["danish_inside"] else "inside.no")
        value = row[NEEDS_DANISH_ERROR[0]]
        waiting = (
            say("measures.not_computable") if value == NOT_COMPUTABLE else say("measures.p", p=_p(value, run.language))
        )
        rows.append(
            [row["benchmark"], row["label"], inside, number(row["smallest_danish_error"], run.language, 3), waiting]
        )
    return pd.DataFrame(rows, columns=say.heads("id", "finding", "inside", "smallest", "measures"))


def _p(value: Any, language: str) -> str:
    """Return a p-value in words."""
    return small(float(value), language)


def _provenance(page: Document, run: Run, say: _Words) -> None:
    """Write where the numbers come from."""
    page.section(say("section_provenance"))
    page.paragraph(say("provenance_intro"))
    release = run.birth["release"]
    rows = [
        (say("fact_release"), say("fact_no_release") if release is None else str(release)),
        (say("fact_hash"), run.birth["study_hash"]),
        *((say("row_table", name=name), digest) for name, digest in run.birth["tables"].items()),
        (say("row_benchmarks"), run.birth["benchmarks"]),
        (say("row_seed"), str(run.birth["seed"])),
        *((say("row_version", name=name), version) for name, version in run.birth["versions"].items()),
    ]
    page.table(pd.DataFrame(rows, columns=say.heads("what", "value")), say("table_provenance"))


def draw_figures(run: Run) -> dict[str, Any]:
    """Return every figure of a run, drawn, by ``<analysis>_<name>``.

    Parameters
    ----------
    run : Run

    Returns
    -------
    dict of str to matplotlib.figure.Figure
    """
    found = {
        f"{name}_{figure}": with_benchmarks(spec, run.benchmarks).draw(run.language)
        for name, result in run.results.items()
        for figure, spec in result.figures.items()
    }
    found |= {f"agreement_{name}": figure for name, figure in _agreement_figures(run).items() if figure is not None}
    return found


def with_benchmarks(spec: FigureSpec, benchmarks: tuple[Benchmark, ...]) -> FigureSpec:
    """Return a figure with the published values beside its rows, where a row names a benchmark.

    Parameters
    ----------
    spec : FigureSpec
        Its frame may have the columns ``benchmark_id`` and, for findings of several numbers, ``contrast``.
    benchmarks : tuple of Benchmark

    Returns
    -------
    FigureSpec
    """
    if "benchmark_id" not in spec.frame:
        return spec
    known = {benchmark.id: benchmark for benchmark in benchmarks if benchmark.is_sourced}
    values = []
    for row in _records(spec.frame):
        benchmark = known.get(row["benchmark_id"])
        parts = {} if benchmark is None else {part.contrast: part.value for part in benchmark.parts}
        values.append(math.nan if benchmark is None else parts.get(str(row.get("contrast")), benchmark.reference))
    options = {**spec.options, "benchmark_label_key": "replication.benchmark_label"}
    return replace(spec, frame=spec.frame.assign(benchmark=values), options=options)


def _agreement_figures(run: Run) -> dict[str, Any]:
    """Return the forest plots of all benchmarks: numbers divided by the Danish ones, and signs."""
    from bipstudy.report import figures

    say = _Words(run.language)
    rows, signs = [], []
    for row in _records(run.agreement.dropna(subset=["ours", "conf_low"])):
        label = f"{row['benchmark']}  {_short(row['label'])}"
        ends = {"conf_low": row["conf_low"], "conf_high": row["conf_high"]}
        if row["unit"] == "sign" and row["scale"] == "sd":
            signs.append({"label": label, "estimate": row["ours"], **ends})
        elif row["unit"] != "sign" and row["ours"] > 0 and row["conf_low"] > 0:
            divided = {name: value / row["danish"] for name, value in {"estimate": row["ours"], **ends}.items()}
            rows.append({"label": label, "group": say(f"group.{row['unit']}"), **divided})
    order = [say(f"group.{unit}") for unit in ("relative", "percentage_points", "share", "count")]
    rows.sort(key=lambda row: order.index(row["group"]))
    return {
        "all": figures.forest(pd.DataFrame(rows), language=run.language, axis_label=say("axis_all")) if rows else None,
        "signs": figures.forest(
            pd.DataFrame(signs), language=run.language, reference=0.0, log=False, axis_label=say("axis_signs")
        )
        if signs
        else None,
    }


def _short(label: str, longest: int = 58) -> str:
    """Return a label on at most two lines."""
    if len(label) <= longest:
        return label
    cut = label.rfind(" ", 0, longest)
    return f"{label[:cut]}\n{label[cut + 1 :]}"


def ours(row: Any, language: str) -> str:
    """Return our estimate with its interval, in the words of its scale.

    Parameters
    ----------
    row : mapping
        Row of the agreement.
    language : {"sv", "en"}

    Returns
    -------
    str
    """
    if pd.isna(row["ours"]):
        return "–"
    return written(row["scale"], row["ours"], row["conf_low"], row["conf_high"], language)


def _ours_words(run: Run, benchmark: Benchmark, row: Any) -> str:
    """Return our estimate, unbroken; of a finding of several numbers all of them."""
    own = run.agreement_parts[run.agreement_parts["benchmark"] == benchmark.id].dropna(subset=["ours"])
    if len(own) < 2:
        return unbroken(ours(row, run.language))
    return " · ".join(
        unbroken(written("share", part["ours"], part["conf_low"], part["conf_high"], run.language))
        for part in _records(own)
    )


def _danish_words(benchmark: Benchmark, language: str) -> str:
    """Return the published value in the words of its unit."""
    if benchmark.parts:
        return " · ".join(percent(part.value, language, 0) for part in benchmark.parts)
    if benchmark.value is None or not benchmark.is_sourced:
        return "–"
    if benchmark.unit == "share":
        return percent(benchmark.value, language, 0)
    if benchmark.unit == "percentage_points":
        return text("analyses.number.points", language, value=number(benchmark.value, language, 0))
    if benchmark.unit == "count":
        return number(benchmark.value, language, 0)
    if benchmark.unit == "sign":
        word = {1.0: "up", -1.0: "down", 0.0: "none"}[benchmark.value]
        return text(f"replication.sign.{word}", language)
    return number(benchmark.value, language, 2)


def _difference(row: Any, language: str) -> str:
    """Return the difference between the studies, for ratios the quotient."""
    if pd.isna(row["difference"]):
        return "–"
    low, high = row["difference_low"], row["difference_high"]
    if row["scale"] in RATIOS:
        value = text("replication.times", language, value=number(row["difference"], language, 2))
        return f"{value} ({interval(low, high, language, 2)})"
    if row["unit"] == "count":
        return number(row["difference"], language, 0)
    return written("risk_difference", row["difference"], low, high, language)


def _flow(result: Result, language: str) -> pd.DataFrame:
    """Return who is included, step by step."""
    words = worded(result.flow, language)
    heads = {name: text(f"analyses.column.{name}", language) for name in ("step", "participants", "rows")}
    return words[[*heads]].rename(columns=heads)


def _all_estimates(result: Result, language: str) -> pd.DataFrame:
    """Return every estimate of an analysis as people read it."""
    rows = []
    for row in _records(result.estimates):
        shown = written(row["scale"], row["estimate"], row["conf_low"], row["conf_high"], language)
        rows.append(
            [
                text(f"analyses.contrast.{row['contrast']}", language) + _of_item(row, language),
                text(f"analyses.outcome.{row['outcome']}", language),
                text(f"analyses.adjustment.{row['adjustment']}", language),
                shown,
                small(row["p_value"], language),
                row["n"],
            ]
        )
    names = ("contrast", "outcome", "adjustment", "estimate", "p_value", "n")
    return pd.DataFrame(rows, columns=[text(f"analyses.column.{name}", language) for name in names])


def _of_item(row: Any, language: str) -> str:
    """Return the name of the item an estimate is of, where it is of one."""
    from bipstudy import schema

    items = schema.items()
    return f": {items[row['term']].label[language]}" if row["term"] in items else ""


def _benchmark(run: Run, name: str) -> Benchmark:
    """Return a benchmark by its id."""
    return {benchmark.id: benchmark for benchmark in run.benchmarks}[name]


def _records(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """Return the rows of a frame."""
    records: list[dict[str, Any]] = frame.to_dict("records")
    return records
