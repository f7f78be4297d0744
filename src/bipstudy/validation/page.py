"""The report as one self-contained page that reads well on screen, in print and aloud."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from bipstudy import schema
from bipstudy.texts import text

if TYPE_CHECKING:
    from bipstudy.validation.findings import Report


_HERE = Path(__file__).parent


@dataclass(frozen=True)
class Parts:
    """The report as a page, and as two pieces of HTML that stand in any page with the style of `own_css`.

    Attributes
    ----------
    page : str
        The report as HTML without any external asset.
    top : str
        Verdict and counts; begins with a heading of level 1.
    main : str
        Findings and what was looked at, under headings of level 2.
    """

    page: str
    top: str
    main: str


def page(report: Report) -> str:
    """Return the report as HTML without any external asset.

    Parameters
    ----------
    report : Report

    Returns
    -------
    str
    """
    return parts(report).page


def parts(report: Report) -> Parts:
    """Return the report as a page and as pieces for another page, which have no style and no script of their own.

    Parameters
    ----------
    report : Report

    Returns
    -------
    Parts
    """
    from markupsafe import Markup

    from bipstudy.house import house_css

    values = _values(report)
    top, main = (Markup(_template(f"report_{part}.html.j2").render(**values)) for part in ("top", "main"))
    frame = _template("report.html.j2")
    whole = frame.render(house=house_css(), own=own_css(), top=top, main=main, **values)
    return Parts(str(whole), str(top), str(main))


def own_css() -> str:
    """Return what the report looks like, beside the style that every page shares."""
    return _HERE.joinpath("report.css").read_text(encoding="utf-8")


def _template(name: str) -> Any:
    """Return a template of this folder."""
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_HERE, encoding="utf-8"),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    return environment.get_template(name)


def _values(report: Report) -> dict[str, Any]:
    """Return what the templates tell."""
    from bipstudy.validation.grouping import grouped

    language = report.language
    sections = grouped(report)
    counts = report.counts()
    return {
        "language": language,
        "say": lambda key, **values: text(f"validation.{key}", language, **values),
        "number": lambda value: f"{value:,}".replace(",", "\u00a0"),
        "report": report,
        "verdict": _verdict(report, counts),
        "tiles": [
            (kind, number, text(f"validation.{kind}_{'one' if number == 1 else 'many'}", language))
            for kind, number in counts.items()
        ],
        "remarks": [remark.message(language) for remark in report.remarks],
        "sections": sections,
        "total": sum(section.count for section in sections),
        "risk": _risk(report),
        "submitted": _submitted(report),
        "passed": _passed(report),
        "not_applicable": [
            (schema.rules()[rule.code].title[language], rule.message(language)) for rule in report.not_applicable
        ],
    }


def _verdict(report: Report, counts: dict[str, int]) -> str:
    """Return the sentence under the verdict."""
    wrong = "verdict_bad_long" if counts["error"] else "verdict_unchecked_long"
    return text(f"validation.{'verdict_ok_long' if report.ok else wrong}", report.language)


def _risk(report: Report) -> dict[str, Any] | None:
    """Return what the section on the risk of re-identification says."""
    if report.risk is None:
        return None
    language = report.language
    return {
        "title": text("risk.title", language),
        "verdict": text("risk.some_found" if report.identifiers_found else "risk.none_found", language),
        "never": text("risk.never_anonymous", language),
        "about": text("risk.about", language, columns=", ".join(report.risk.labels(language))),
        "heads": [text("risk.measure_column", language), text("risk.value_column", language)],
        "rows": report.risk.rows(language),
    }


def _submitted(report: Report) -> list[dict[str, Any]]:
    """Return the tables that were submitted, with file, sheet and number of rows."""
    return [
        {
            "table": schema.table(row.table).label[report.language],
            "file": "" if pd.isna(row.file) else row.file,
            "sheet": "" if pd.isna(row.sheet) else row.sheet,
            "rows": int(row.rows),
        }
        for row in report.submitted.itertuples(index=False)
    ]


def _passed(report: Report) -> list[tuple[str, int]]:
    """Return title and rows looked at of the rules that applied and found nothing."""
    found = set(report.places["code"])
    return [
        (schema.rules()[status.code].title[report.language], status.checked)
        for status in report.statuses
        if status.code not in found
    ]
