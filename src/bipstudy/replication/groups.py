"""The primary estimates by group as a part of a run: written and shown."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pandas as pd

from bipstudy.analyses.result import worded
from bipstudy.analyses.subgroups import FEWEST
from bipstudy.analyses.wording import written
from bipstudy.replication.beside import Words, records
from bipstudy.replication.layouts import small, unbroken
from bipstudy.report import Document
from bipstudy.texts import text

if TYPE_CHECKING:
    from bipstudy.analyses import Result
    from bipstudy.replication.run import Run


def frames(run: Run) -> dict[str, Any]:
    """Return the estimates by group, by path in the folder of a run; none if the plan wants none."""
    return {f"groups/{name}.csv": result.estimates for name, result in run.groups.items()}


def section(page: Document, run: Run, say: Words) -> None:
    """Write the primary estimates by group, question by question."""
    if not run.groups:
        return
    page.section(say("section_groups"))
    page.paragraph(say("groups_intro"))
    for name, result in run.groups.items():
        shown = _table(result, run.language, say)
        if len(shown):
            title = text(f"analyses.{name}.title", run.language)
            page.table(shown, say("groups_table", title=title), group=say("column.division"))
    page.paragraph(say("groups_small", fewest=FEWEST), quiet=True)


def _table(result: Result, language: str, say: Words) -> pd.DataFrame:
    """Return the estimates of every group, and beside the first of each division the test that they are alike."""
    tests = result.estimates[result.estimates["scale"] == "other"]
    p_values = {
        (str(row["term"]).split(";")[-1], f"analyses.contrast.{row['contrast']}", f"analyses.outcome.{row['outcome']}"):
        row["p_value"]
        for row in records(tests)
    }  # fmt: skip
    rows = []
    for by, table in result.tables.items():
        division = text(f"analyses.variable.{by}", language)
        table = _answered(table)
        several = len(set(zip(table["contrast_key"], table["outcome_key"], strict=True))) > 1
        for raw, row in zip(records(table), records(worded(table, language)), strict=True):
            shown = unbroken(written(row["scale"], row["estimate"], row["conf_low"], row["conf_high"], language))
            # The test stands beside the first group that it is of.
            tested = p_values.pop((by, raw["contrast_key"], raw["outcome_key"]), None)
            p_value = "" if tested is None else unbroken(small(tested, language))
            heading = f"{division}: {row['contrast']}, {row['outcome']}" if several else division
            rows.append([heading, row["group"], row["n"], shown, p_value])
    return pd.DataFrame(rows, columns=say.heads("division", "group", "participants", "ours", "p_alike"))


def _answered(table: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of estimates that could be made for at least two groups."""
    made = table["estimate"].notna().groupby([table["contrast_key"], table["outcome_key"]]).transform("sum")
    return table[made >= 2].reset_index(drop=True)
