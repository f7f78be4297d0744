"""Validation side by side: our rules, plain pandera, frictionless and a script by hand, on the same bad rows.

Run as ``python benchmarks/validation.py --rows 27000 1000000``. Every contender does the same checks on a table of
measurements with 40 columns: type, missing values, codes, bounds, the key, and the reference to the participants; each
must name every failing row. Contenders whose package is not installed are left out and named. Prints JSON.
"""

from __future__ import annotations

import argparse
import gc
import importlib.util
import json
import multiprocessing
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from bipstudy import schema
from bipstudy.loaders import load_submission
from bipstudy.study import Study
from bipstudy.validation.data import Data
from bipstudy.validation.findings import collect
from bipstudy.validation.risk import risk
from bipstudy.validation.rules import CHECKS, rule_needs
from bipstudy.validation.validate import validate

SAME = ("missing-value", "unknown-code", "out-of-bounds", "duplicate-key", "unknown-participant")
BAD = 0.001
KEY = list(schema.table("measurements").key)
PERSON = ["organisation_id", "participant_id"]
CODES = {
    column.name: list(schema.code_list(column.codes).values)
    for column in schema.table("measurements").columns
    if column.codes
}
FRICTIONLESS_LIMIT = 30_000


def tables(rows: int, seed: int = 1) -> dict[str, pd.DataFrame]:
    """Return participants and measurements, of which one in a thousand is bad in one of four ways."""
    random = np.random.default_rng(seed)
    people = -(-rows // 24)
    person = np.repeat([f"{number:07d}" for number in range(people)], 24)[:rows]
    step = np.arange(rows) % 24
    half = np.where(step % 2 == 0, "participant", "caseworker")
    day = np.datetime64("2024-01-10") + (step // 2) * 91
    forms = pd.DataFrame(
        {
            "organisation_id": "A",
            "participant_id": person,
            "occasion": step // 2 + 1,
            "respondent": half,
            "instrument": schema.instrument().name if hasattr(schema.instrument(), "name") else "bip-default",
            "caseworker_id": [f"c{number % 400}" for number in range(rows)],
            "answered_on": day,
            "due_on": day,
            "form_status": "answered",
            "mode": "alone",
        }
    )
    for name, item in schema.items().items():
        asked = np.isin(half, item.respondents)
        forms[name] = pd.array(random.integers(1, 6, rows), "Int64")
        forms.loc[~asked, name] = pd.NA
    entered = np.datetime64("2024-01-02") + random.integers(0, 8, people)
    participants = pd.DataFrame(
        {
            "organisation_id": "A",
            "participant_id": [f"{number:07d}" for number in range(people)],
            "entered_on": entered,
            "sex": random.choice(["woman", "man"], people),
            "age_group": random.choice(["16-24", "25-34", "35-44", "45-54", "55+"], people),
            "outcome_follow_up": "register",
            "observed_until": np.datetime64("2027-12-31"),
            "observed_until_reason": "extract_end",
        }
    )
    forms = schema.conform("measurements", forms)
    for column, at in zip(("form_status", "occasion", "participant_id", "respondent"), _bad(rows, random), strict=True):
        forms.loc[at, column] = {"form_status": "perhaps", "occasion": -1, "participant_id": "nobody"}.get(column)
    return {"participants": schema.conform("participants", participants), "measurements": forms}


def _bad(rows: int, random: np.random.Generator) -> list[np.ndarray]:
    """Return four sets of rows, together one in a thousand."""
    chosen = random.permutation(rows)[: max(4, int(rows * BAD))]
    return np.array_split(chosen, 4)


def expected(frames: dict[str, pd.DataFrame]) -> set[int]:
    """Return the rows that are bad, by one plain pass."""
    forms = frames["measurements"]
    bad = ~forms["form_status"].isin(CODES["form_status"]) | (forms["occasion"] < 1).fillna(False)
    bad |= forms["respondent"].isna() | ~forms["participant_id"].isin(frames["participants"]["participant_id"])
    return set(np.flatnonzero(bad | forms.duplicated(KEY)).tolist())


def ours_same(frames: dict[str, pd.DataFrame]) -> set[int]:
    """Do the same checks with our rules, into the places of a report."""
    data = Data.of(Study(tables=frames, sent=frozenset(frames)))
    found = []
    for code in SAME:
        found += [(code, hits) for hits in CHECKS[code](data, schema.rules()[code].threshold).hits]
    places = collect(data, found)
    return {int(row) - 2 for row in places.loc[places["table"] == "measurements", "row"].dropna()}


def ours_all(frames: dict[str, pd.DataFrame]) -> int:
    """Run every rule and write every finding."""
    return len(validate(Study(tables=frames, sent=frozenset(frames)), language="sv").findings)


def pandera_pandas(frames: dict[str, pd.DataFrame]) -> set[int]:
    """Do the same checks with pandera on pandas."""
    import pandera.pandas as pa

    forms, people = frames["measurements"], frames["participants"]
    known = pd.MultiIndex.from_frame(people[PERSON])
    columns = {
        name: pa.Column(forms[name].dtype, pa.Check.isin(CODES[name]) if name in CODES else None, nullable=True)
        for name in forms
    }
    columns["occasion"] = pa.Column("Int64", pa.Check.ge(1), nullable=True)
    columns["respondent"] = pa.Column(forms["respondent"].dtype, pa.Check.isin(CODES["respondent"]), nullable=False)
    there = pa.Check(lambda frame: pd.Series(pd.MultiIndex.from_frame(frame[PERSON]).isin(known), index=frame.index))
    checks = pa.DataFrameSchema(columns, checks=there, unique=KEY, report_duplicates="exclude_first")
    try:
        checks.validate(forms, lazy=True)
    except pa.errors.SchemaErrors as error:
        return set(error.failure_cases["index"].dropna().astype(int))
    return set()


def _as_polars(frames: dict[str, pd.DataFrame]) -> dict[str, Any]:
    """Return the tables as polars frames."""
    import polars as pl

    return {name: pl.from_pandas(frame) for name, frame in frames.items()}


def pandera_polars(frames: dict[str, Any]) -> set[int]:
    """Do the same checks with pandera on polars."""
    import pandera.polars as pa
    import polars as pl

    forms = frames["measurements"].with_row_index("row_number")
    forms = forms.with_columns(
        there=pl.struct(PERSON).is_in(frames["participants"].select(pl.struct(PERSON).alias("all"))["all"].implode())
    )
    columns = {name: pa.Column(forms[name].dtype, pa.Check.isin(codes), nullable=True) for name, codes in CODES.items()}
    columns["occasion"] = pa.Column(pl.Int64, pa.Check.ge(1), nullable=True)
    columns["respondent"] = pa.Column(pl.String, pa.Check.isin(CODES["respondent"]), nullable=False)
    columns["there"] = pa.Column(pl.Boolean, pa.Check.eq(True))
    found: set[int] = set()
    try:
        pa.DataFrameSchema(columns, unique=KEY, report_duplicates="exclude_first").validate(forms, lazy=True)
    except pa.errors.SchemaErrors as error:
        found = set(error.failure_cases["index"].drop_nulls().to_list())
    return found


def polars_by_hand(frames: dict[str, Any]) -> set[int]:
    """Do the same checks in a script of polars."""
    import polars as pl

    forms = frames["measurements"].with_row_index("row_number")
    bad = [~pl.col(name).is_in(codes) for name, codes in CODES.items()]
    bad += [pl.col("occasion") < 1, pl.col("respondent").is_null()]
    known = frames["participants"].select(PERSON)
    found = set(forms.filter(pl.any_horizontal([each.fill_null(False) for each in bad]))["row_number"].to_list())
    found |= set(forms.join(known, on=PERSON, how="anti")["row_number"].to_list())
    return found | set(forms.filter(~pl.struct(KEY).is_first_distinct())["row_number"].to_list())


def numpy_by_hand(frames: dict[str, pd.DataFrame]) -> set[int]:
    """Do the same checks in a script of pandas and numpy."""
    forms, people = frames["measurements"], frames["participants"]
    bad = forms["respondent"].isna().to_numpy() | (forms["occasion"] < 1).fillna(False).to_numpy(dtype=bool)
    for name, codes in CODES.items():
        bad |= (~forms[name].isin(codes) & forms[name].notna()).to_numpy(dtype=bool)
    bad |= ~forms["participant_id"].isin(people["participant_id"]).to_numpy(dtype=bool)
    return set(np.flatnonzero(bad | forms.duplicated(KEY).to_numpy(dtype=bool)).tolist())


def frictionless_table(frames: dict[str, pd.DataFrame]) -> set[int]:
    """Do the same checks with frictionless, from CSV as it is meant to read."""
    import frictionless as fl

    with tempfile.TemporaryDirectory() as folder, fl.system.use_context(trusted=True):
        for name, frame in frames.items():
            frame.to_csv(Path(folder, f"{name}.csv"), index=False)
        fields = [{"name": name, "type": "any"} for name in frames["measurements"]]
        for field in fields:
            if field["name"] in CODES:
                field |= {"type": "string", "constraints": {"enum": CODES[field["name"]]}}
        by_name = {field["name"]: field for field in fields}
        by_name["respondent"]["constraints"]["required"] = True
        by_name["occasion"] |= {"type": "integer", "constraints": {"minimum": 1}}
        reference = {"fields": PERSON, "reference": {"resource": "participants", "fields": PERSON}}
        described = {"fields": fields, "primaryKey": KEY, "foreignKeys": [reference]}
        package = fl.Package.from_descriptor(
            {
                "resources": [
                    {"name": "participants", "path": str(Path(folder, "participants.csv"))},
                    {"name": "measurements", "path": str(Path(folder, "measurements.csv")), "schema": described},
                ]
            }
        )
        report = package.validate(limit_errors=10**9)
    errors = [row for task in report.tasks if task.name == "measurements" for row in task.flatten(["rowNumber"])]
    return {int(row[0]) - 2 for row in errors if row[0]}


def best(work: Callable[[], Any], repeats: int) -> tuple[float, Any]:
    """Return the least time of some runs, and what the last gave."""
    times, result = [], None
    for _ in range(repeats):
        gc.collect()
        began = time.perf_counter()
        result = work()
        times.append(time.perf_counter() - began)
    return min(times), result


def by_rule(frames: dict[str, pd.DataFrame]) -> dict[str, float]:
    """Return the time of each of our rules, the slowest first."""
    data = Data.of(Study(tables=frames, sent=frozenset(frames)))
    found = {}
    for code, function in CHECKS.items():
        rule = schema.rules()[code]
        if not rule_needs(rule, data):
            found[code] = best(lambda function=function, rule=rule: function(data, rule.threshold), 1)[0]
    found["(risk of re-identification)"] = best(lambda: risk(frames), 1)[0]
    return {code: round(seconds, 4) for code, seconds in sorted(found.items(), key=lambda pair: -pair[1])}


def peak(rows: int) -> dict[str, float]:
    """Return how much memory a whole validation takes beyond the table, as multiples of the table."""
    context = multiprocessing.get_context("spawn")
    with context.Pool(1) as pool:
        return pool.apply(_peak, (rows,))


def _peak(rows: int) -> dict[str, float]:
    """Validate in this process alone and read its high-water mark."""
    frames = tables(rows)
    size = sum(frame.memory_usage(deep=True).sum() for frame in frames.values()) / 2**20
    gc.collect()
    # From here on the high-water mark is that of the validation alone.
    Path("/proc/self/clear_refs").write_text("5")
    before = _status("VmHWM")
    ours_all(frames)
    beyond = _status("VmHWM") - before
    return {
        "table_mb": round(size),
        "peak_beyond_mb": round(beyond),
        "peak_over_table": round(float((size + beyond) / size), 2),
    }


def _status(name: str) -> float:
    """Return a size of this process in megabytes, as the kernel has it."""
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith(name))
    return int(line.split()[1]) / 1024


def reading(frames: dict[str, pd.DataFrame], repeats: int, excel: bool) -> dict[str, float]:
    """Return the time to load the measurements as a Swedish csv, and as xlsx, beside plain readers."""
    found = {}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "measurements.csv")
        frames["measurements"].to_csv(path, index=False, sep=";", decimal=",", encoding="cp1252")
        found["csv: pandas C engine"] = best(lambda: pd.read_csv(path, sep=";", dtype=str), repeats)[0]
        found["csv: load_submission"] = best(lambda: load_submission(path), 1)[0]
        if excel:
            book = Path(folder, "measurements.xlsx")
            frames["measurements"].to_excel(book, index=False, engine="xlsxwriter")
            calamine = lambda: pd.read_excel(book, engine="calamine", dtype=str)  # noqa: E731
            found["xlsx: pandas calamine"] = best(calamine, 1)[0]
            found["xlsx: openpyxl"] = best(lambda: pd.read_excel(book, engine="openpyxl", dtype=str), 1)[0]
            found["xlsx: load_submission"] = best(lambda: load_submission(book), 1)[0]
    return {name: round(seconds, 3) for name, seconds in found.items()}


def measure(rows: int, repeats: int, read: bool) -> dict[str, Any]:
    """Return all numbers at one size."""
    frames = tables(rows)
    truth = expected(frames)
    contenders: dict[str, Callable[[], set[int]]] = {
        "ours, same checks": lambda: ours_same(frames),
        "pandera on pandas": lambda: pandera_pandas(frames),
        "by hand, pandas and numpy": lambda: numpy_by_hand(frames),
    }
    absent = []
    if importlib.util.find_spec("polars"):
        polars = _as_polars(frames)
        contenders |= {
            "pandera on polars": lambda: pandera_polars(polars),
            "by hand, polars": lambda: polars_by_hand(polars),
        }
    else:
        absent.append("polars")
    if rows <= FRICTIONLESS_LIMIT and importlib.util.find_spec("frictionless"):
        contenders["frictionless"] = lambda: frictionless_table(frames)
    result: dict[str, Any] = {"rows": rows, "bad_rows": len(truth), "absent": absent, "seconds": {}, "missed_rows": {}}
    for name, work in contenders.items():
        seconds, found = best(work, 1 if name == "frictionless" else repeats)
        result["seconds"][name] = round(seconds, 4)
        sys.stderr.write(f"{rows} rows: {name} {seconds:.3f} s\n")
        # Some report what depends on a bad cell too; nobody may miss a row.
        result["missed_rows"][name] = len(truth - found)
    result["seconds"]["ours, every rule"] = round(best(lambda: ours_all(frames), 1)[0], 3)
    fastest = min(seconds for name, seconds in result["seconds"].items() if name.startswith("pandera"))
    result["over_fastest_pandera"] = {
        name: round(result["seconds"][name] / fastest, 2) for name in ("ours, same checks", "ours, every rule")
    }
    result["by_rule"] = by_rule(frames)
    result["memory"] = peak(rows)
    if read:
        result["reading"] = reading(frames, repeats, excel=rows <= 200_000)
    return result


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, nargs="+", default=[27_000, 1_000_000])
    parser.add_argument("--ten-million", action="store_true", help="also ten million rows")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--no-reading", action="store_true")
    options = parser.parse_args()
    for rows in [*options.rows, *([10_000_000] if options.ten_million else [])]:
        result = measure(rows, options.repeats, not options.no_reading)
        sys.stdout.write(json.dumps(result, indent=1, ensure_ascii=False) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
