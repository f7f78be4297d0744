"""The certificate as a page."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

from bipstudy.certification.assumptions import world, worlds
from bipstudy.certification.estimands import built_on
from bipstudy.report.document import Document
from bipstudy.report.numbers import number, percent
from bipstudy.texts import text

if TYPE_CHECKING:
    from bipstudy.certification.certificate import Certificate

__all__ = ["compose", "estimand_words", "scenario_words"]

RULES = ("bias", "coverage", "size", "ratio", "failed", "chance", "rerun")


def compose(certificate: Certificate) -> Document:
    """Write the certificate as a document.

    Parameters
    ----------
    certificate : Certificate

    Returns
    -------
    Document
    """
    say = _Words(certificate.language)
    facts = certificate.facts
    page = Document(say("title"), certificate.language, subtitle=say("subtitle"))
    page.fact(say("created"), facts["created"].replace("T", " ").replace("+00:00", " UTC"))
    page.fact(say("replicates"), number(facts["replicates"], certificate.language, 0))
    page.fact(say("studies"), number(facts["studies"], certificate.language, 0))
    page.fact(say("seed"), str(facts["seed"]))
    page.fact(say("command"), f"bipstudy certify{' --full' if facts['full'] else ''} --seed {facts['seed']}")
    page.fact(say("code"), facts["code"][:12])
    _verdict(page, certificate, say)
    _designs(page, certificate, say)
    if (certificate.rows["kind"] == "analysis").any():
        _estimands(page, certificate, say)
    if (certificate.rows["kind"] == "assumption").any():
        _assumptions(page, certificate, say)
    _evidence(page, certificate, say)
    page.section(say("rules_title"))
    page.bullets([say(f"rule_{name}") for name in RULES])
    page.section(say("versions_title"))
    versions = pd.DataFrame(list(facts["versions"].items()), columns=[say("package"), say("version")])
    page.table(versions, say("versions_caption"))
    return page


class _Words:
    """The page's words in one language."""

    def __init__(self, language: str) -> None:
        self.language = language

    def __call__(self, key: str, **values: object) -> str:
        return text(f"certification.{key}", self.language, **values)


def _verdict(page: Document, certificate: Certificate, say: _Words) -> None:
    """Say first whether everything holds, and what does not."""
    rows, tests = certificate.rows, certificate.evidence.rows
    alone, whole, varied = (int((rows["kind"] == kind).sum()) for kind in ("estimator", "analysis", "assumption"))
    page.lead(say("lead", designs=alone, replicates=certificate.facts["replicates"]))
    if whole:
        page.paragraph(say("lead_estimands", rows=whole, **_sizes(certificate)))
    if varied:
        page.paragraph(say("lead_assumptions", rows=varied, worlds=len(worlds()), **_sizes(certificate)))
    failed = rows[~rows["ok"]]
    modules = tests[~tests["ok"].astype(bool)]
    if certificate.ok:
        page.callout(say("all_hold"))
        return
    page.callout(say("some_fail", designs=len(failed), tests=len(modules)), tone="warning")
    page.bullets([_failure(row, say) for row in failed.itertuples()])
    if len(modules):
        columns = modules[["module", "passed", "failed", "skipped"]]
        page.bullets([say("failed_module", **row) for row in columns.to_dict("records")])


def _sizes(certificate: Certificate) -> dict[str, str]:
    """Return how many studies there are and how large they are, in words."""
    names = ("studies", "varied", "participants")
    return {name: number(certificate.facts[name], certificate.language, 0) for name in names}


def _name(row: object, say: _Words) -> str:
    """Return what a row is called."""
    name, scenario = row.name, row.scenario  # type: ignore[attr-defined]
    if not scenario:
        return say(f"design.{name}")
    return say("in_scenario", what=estimand_words(name, say.language), scenario=scenario_words(scenario, say.language))


def scenario_words(name: str, language: str) -> str:
    """Return what a scenario is called.

    Parameters
    ----------
    name : str
        Of the scenario, or of a world in which an assumption is another one.
    language : {"en", "sv"}

    Returns
    -------
    str

    Examples
    --------
    >>> scenario_words("null", "en"), scenario_words("twin_no_skill", "en")
    ('nothing acts on anything', 'Caseworkers differ in nothing but optimism')
    """
    return world(name).label[language] if name in worlds() else text(f"certification.scenario.{name}", language)


def estimand_words(name: str, language: str) -> str:
    """Return what the estimand of a row is called.

    Parameters
    ----------
    name : str
        Of the row: scenario, analysis and what is estimated.
    language : {"en", "sv"}

    Returns
    -------
    str

    Examples
    --------
    >>> estimand_words("null.indicators.job_search", "en")
    'Job search behaviour, per standard deviation'
    """
    from bipstudy import schema

    _, analysis, what = name.split(".", 2)
    items = schema.items()
    if analysis == "indicators" and what in items:
        return text("certification.estimand.indicator", language, item=items[what].label[language])
    return text(f"certification.estimand.{analysis}_{what}", language)


def _failure(row: object, say: _Words) -> str:
    """Say in words what is wrong with a row."""
    values = {name: getattr(row, name) for name in ("bias", "bias_limit", "coverage", "band_low", "band_high")}
    parts = []
    if not row.bias_ok:  # type: ignore[attr-defined]
        bias, limit = (number(abs(values[name]), say.language, 4) for name in ("bias", "bias_limit"))
        parts.append(say("fails_bias", bias=bias, limit=limit))
    if not row.coverage_ok:  # type: ignore[attr-defined]
        shares = {name: percent(values[key], say.language) for name, key in _SHARES}
        parts.append(say("fails_coverage", **shares))
    if row.failed:  # type: ignore[attr-defined]
        parts.append(say("fails_replicates", failed=row.failed))  # type: ignore[attr-defined]
    return say("failure", design=_name(row, say), what=" ".join(parts))


_SHARES = (("coverage", "coverage"), ("low", "band_low"), ("high", "band_high"))


def _designs(page: Document, certificate: Certificate, say: _Words) -> None:
    """Show every design, then why some are expected to differ from the nominal."""
    rows = certificate.rows[certificate.rows["kind"] == "estimator"]
    page.section(say("designs_title"))
    page.paragraph(say("designs_words"))
    marked = [say(f"design.{row.name}") + ("*" if row.reason else "") for row in rows.itertuples(index=False)]
    shown = pd.DataFrame(
        {
            "design": marked,
            "truth": rows["truth"],
            "mean": rows["mean"],
            "bias": rows["bias"],
            "bias_limit": rows["bias_limit"],
            "error_ratio": rows["error_ratio"],
            "coverage": [percent(share, say.language) for share in rows["coverage"]],
            "band": [_band(row, say.language) for row in rows.itertuples()],
            "ok": [say("holds") if ok else say("fails") for ok in rows["ok"]],
            "estimator": rows["estimator"],
        }
    )
    heads = {name: say(f"head_{name}") for name in shown.columns}
    page.table(
        shown,
        say("designs_caption"),
        labels=heads,
        decimals={"truth": 3, "mean": 3, "bias": 4, "bias_limit": 4, "error_ratio": 2},
        group="estimator",
        note=say("designs_note"),
    )
    page.section(say("reasons_title"))
    page.bullets(
        [
            say(f"reason.{row.reason}", expected=percent(row.expected, say.language))
            for row in rows[rows["reason"] != ""].itertuples()
        ]
    )


def _estimands(page: Document, certificate: Certificate, say: _Words) -> None:
    """Show the primary estimand of every analysis, scenario by scenario, then what each truth is."""
    rows = certificate.rows[certificate.rows["kind"] == "analysis"]
    page.section(say("estimands_title"))
    page.paragraph(say("estimands_words", **_sizes(certificate)))
    for scenario, part in rows.groupby("scenario", sort=False):
        shown = _tried(part, say).assign(analysis=[say(f"analysis.{name.split('.')[1]}") for name in part["name"]])
        _table(page, shown, say(f"estimands_caption.{scenario}"), "analysis", say)
    page.section(say("truths_title"))
    page.paragraph(say("truths_words"))
    analyses = dict.fromkeys(name.split(".")[1] for name in rows["name"])
    page.bullets([f"{say(f'analysis.{name}')}: {say(f'truth.{name}')}" for name in analyses])


def _tried(part: pd.DataFrame, say: _Words) -> pd.DataFrame:
    """Return rows about analyses as they are shown."""
    return pd.DataFrame(
        {
            "estimand": [estimand_words(name, say.language) for name in part["name"]],
            "truth": part["truth"].to_numpy(),
            "bias": part["bias"].to_numpy(),
            "bias_limit": part["bias_limit"].to_numpy(),
            "coverage": [percent(share, say.language) for share in part["coverage"]],
            "band": [_band(row, say.language) for row in part.itertuples()],
            "rejects": [percent(share, say.language) for share in part["rejects"]],
            "ok": [say("holds") if ok else say("fails") for ok in part["ok"]],
        }
    )


def _table(page: Document, shown: pd.DataFrame, caption: str, group: str, say: _Words) -> None:
    """Show rows about analyses."""
    page.table(
        shown,
        caption,
        labels={name: say(f"head_{name}") for name in shown.columns},
        decimals={"truth": 3, "bias": 4, "bias_limit": 4},
        group=group,
        note=say("estimands_note"),
    )


def _assumptions(page: Document, certificate: Certificate, say: _Words) -> None:
    """Show what hangs most on assumptions, where these are others."""
    rows = certificate.rows[certificate.rows["kind"] == "assumption"]
    page.section(say("assumptions_title"))
    page.paragraph(say("assumptions_words", **_sizes(certificate)))
    for base, part in rows.groupby(rows["scenario"].map(built_on), sort=True):
        shown = _tried(part, say).assign(world=[scenario_words(name, say.language) for name in part["scenario"]])
        _table(page, shown, say(f"assumptions_caption.{base}"), "world", say)


def _band(row: object, language: str) -> str:
    """Write the band of a row."""
    low, high = row.band_low, row.band_high  # type: ignore[attr-defined]
    return "–" if pd.isna(low) else f"{percent(low, language)}–{percent(high, language)}"


def _evidence(page: Document, certificate: Certificate, say: _Words) -> None:
    """Show what the tests said, or that they were not run."""
    evidence = certificate.evidence
    page.section(say("evidence_title"))
    page.paragraph(say(f"evidence_{evidence.state}"))
    if evidence.state != "run":
        return
    rows = evidence.rows
    shown = pd.DataFrame(
        {
            "requirement": [say(f"requirement.{name}") for name in rows["requirement"]],
            "module": rows["module"],
            "passed": rows["passed"].astype("int64"),
            "failed": rows["failed"].astype("int64"),
            "skipped": rows["skipped"].astype("int64"),
            "ok": [say("holds") if ok else say("fails") for ok in rows["ok"]],
        }
    )
    heads = {name: say(f"head_{name}") for name in shown.columns}
    page.table(shown, say("evidence_caption"), labels=heads, group="requirement")
