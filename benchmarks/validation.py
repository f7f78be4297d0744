"""Validation side by side: our rules, plain pandera, frictionless and a script by hand, on the same bad rows.

    python benchmarks/validation.py --jobs checks rules memory csv xlsx --rows 27000 1000000 --threads 2

``checks``: every contender does the same checks on measurements, the 23 columns of the canonical table: type, missing
values, codes, bounds, the key, and the reference to the participants; each must name every failing row. ``rules``:
every rule of ours, the slowest first. ``memory``: the peak of a whole validation. ``csv``, ``xlsx``: to read the same
table from a file, a csv also in turn with the fastest. Each contender runs in a process of its own, with as many
threads as it is given; the least of some runs counts, by the clock (wall) and in seconds of processor (cpu). Who is not
installed is left out. Prints a line of JSON for each result.
"""

from __future__ import annotations

import argparse
import gc
import importlib.util
import json
import multiprocessing
import os
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
JOBS = ("checks", "rules", "memory", "csv", "xlsx")


def tables(rows: int, seed: int = 1) -> dict[str, pd.DataFrame]:
    """Return participants and measurements, of which one in a thousand is bad in one of four ways."""
    random = np.random.default_rng(seed)
    people = -(-rows // 24)
    number, step = np.arange(rows) // 24, np.arange(rows) % 24
    half = np.where(step % 2 == 0, "participant", "caseworker")
    day = np.datetime64("2024-01-10") + (step // 2) * 91
    names = [f"{each:07d}" for each in range(people)]
    forms = pd.DataFrame(
        {
            # A letter beyond ASCII on every row, as files in Swedish have.
            "organisation_id": "Å",
            "participant_id": _taken(names, number),
            "occasion": step // 2 + 1,
            "respondent": _taken(["participant", "caseworker"], step % 2),
            "instrument": schema.instrument().name,
            "caseworker_id": _taken([f"c{each}" for each in range(400)], np.arange(rows) % 400),
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
            "organisation_id": "Å",
            "participant_id": names,
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


def _taken(texts: list[str], index: np.ndarray) -> pd.Series:
    """Return texts by their number."""
    return pd.Series(texts, dtype=schema.STRING).take(index).reset_index(drop=True)


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


CHECKS_BY: dict[str, tuple[str, Callable[[Any], set[int]]]] = {
    "ours, same checks": ("", ours_same),
    "pandera on pandas": ("", pandera_pandas),
    "pandera on polars": ("polars", pandera_polars),
    "by hand, polars": ("polars", polars_by_hand),
    "by hand, pandas and numpy": ("", numpy_by_hand),
    "frictionless": ("frictionless", frictionless_table),
}


def best(work: Callable[[], Any], repeats: int) -> tuple[dict[str, float], Any]:
    """Return the least wall and processor seconds of some runs, each for itself, and what the last gave."""
    wall, cpu, result = [], [], None
    for _ in range(repeats):
        gc.collect()
        began, worked = time.perf_counter(), time.process_time()
        result = work()
        wall.append(time.perf_counter() - began)
        cpu.append(time.process_time() - worked)
    return {"wall": round(min(wall), 4), "cpu": round(min(cpu), 4)}, result


def load(folder: str) -> dict[str, pd.DataFrame]:
    """Return the tables of a folder, in their types."""
    return {
        name: schema.conform(name, pd.read_parquet(Path(folder, f"{name}.parquet")), sort=False)
        for name in ("participants", "measurements")
    }


def prepare(folder: str, rows: int) -> int:
    """Write the tables and the rows that are bad; return how many are."""
    frames = tables(rows)
    for name, frame in frames.items():
        frame.to_parquet(Path(folder, f"{name}.parquet"))
    truth = np.array(sorted(expected(frames)))
    np.save(Path(folder, "bad.npy"), truth)
    return len(truth)


def check(folder: str, name: str, repeats: int) -> dict[str, Any]:
    """Time one contender on the same checks."""
    frames: Any = load(folder)
    if "polars" in name:
        frames = _as_polars(frames)
    seconds, found = best(lambda: CHECKS_BY[name][1](frames), 1 if name == "frictionless" else repeats)
    # Some report what depends on a bad cell too; nobody may miss a row.
    return seconds | {"missed_rows": len(set(np.load(Path(folder, "bad.npy")).tolist()) - found)}


def check_all(folder: str, repeats: int) -> dict[str, Any]:
    """Time every rule of ours and every finding."""
    frames = load(folder)
    seconds, found = best(lambda: ours_all(frames), min(repeats, 2))
    return seconds | {"findings": found}


def by_rule(folder: str) -> dict[str, float]:
    """Return the processor seconds of each of our rules, the slowest first; who comes first reads for the others."""
    frames = load(folder)
    data = Data.of(Study(tables=frames, sent=frozenset(frames)))
    found = {}
    for code, function in CHECKS.items():
        rule = schema.rules()[code]
        if not rule_needs(rule, data):
            found[code] = best(lambda function=function, rule=rule: function(data, rule.threshold), 1)[0]["cpu"]
    found["(risk of re-identification)"] = best(lambda: risk(frames), 1)[0]["cpu"]
    return dict(sorted(found.items(), key=lambda pair: -pair[1]))


def peak(folder: str) -> dict[str, float]:
    """Validate and read the high-water mark of this process, as multiples of the table."""
    frames = load(folder)
    size = sum(frame.memory_usage(deep=True).sum() for frame in frames.values()) / 2**20
    gc.collect()
    # From here on the high-water mark is that of the validation alone.
    Path("/proc/self/clear_refs").write_text("5")
    before = _status("VmRSS")
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


def write_csv(folder: str, encoding: str) -> float:
    """Write the measurements as a Swedish csv; return its megabytes."""
    path = Path(folder, "measurements.csv")
    load(folder)["measurements"].to_csv(path, index=False, sep=";", decimal=",", encoding=encoding)
    return round(path.stat().st_size / 1e6)


def read_csv(path: str, name: str, encoding: str, repeats: int) -> dict[str, Any]:
    """Time one reader of a Swedish csv."""
    return best(csv_reader(path, name, encoding), repeats)[0]


def read_csv_in_turn(path: str, encoding: str, rounds: int = 7) -> dict[str, Any]:
    """Time ours and pyarrow in turn, so that a machine that slows down does so for both; return the least of each."""
    readers = {name: csv_reader(path, name, encoding) for name in ("pyarrow", "ours")}
    seconds: dict[str, list[dict[str, float]]] = {name: [] for name in readers}
    for _ in range(rounds):
        for name, work in readers.items():
            seconds[name].append(best(work, 1)[0])
    least = {
        name: {kind: min(each[kind] for each in runs) for kind in ("wall", "cpu")} for name, runs in seconds.items()
    }
    times = {kind: round(least["ours"][kind] / least["pyarrow"][kind], 2) for kind in ("wall", "cpu")}
    return {**least, "times": times}


def csv_reader(path: str, name: str, encoding: str) -> Callable[[], Any]:
    """Return what reads a Swedish csv; ids stay text, and numbers and dates are read as such."""
    utf8 = encoding == "utf-8"
    text = {"participant_id": str}
    if name == "pandas":
        dates = ["answered_on", "due_on"]
        work = lambda: pd.read_csv(path, sep=";", decimal=",", dtype=text, parse_dates=dates, encoding=encoding)  # noqa: E731
    elif name == "polars":
        import polars as pl

        options = {"separator": ";", "decimal_comma": True, "try_parse_dates": True}
        coded = "utf8" if utf8 else "windows-1252"
        work = lambda: pl.read_csv(path, schema_overrides={"participant_id": pl.String}, encoding=coded, **options)  # noqa: E731
    elif name == "duckdb":
        import duckdb

        coded = "" if utf8 else ", encoding='windows-1252'"
        query = f"from read_csv('{path}', delim=';', types={{'participant_id': 'VARCHAR'}}{coded})"
        work = lambda: duckdb.sql(query).to_arrow_table()  # noqa: E731
    elif name == "pyarrow":
        import pyarrow as pa
        import pyarrow.csv as pc

        cut = pc.ParseOptions(delimiter=";")
        kinds = pc.ConvertOptions(decimal_point=",", column_types={"participant_id": pa.string()})
        work = lambda: pc.read_csv(path, pc.ReadOptions(encoding=encoding), cut, kinds)  # noqa: E731
    else:
        work = lambda: load_submission(path)  # noqa: E731
    return work


def write_xlsx(folder: str) -> float:
    """Write the measurements as a workbook; return its megabytes."""
    import xlsxwriter

    path, frame = Path(folder, "measurements.xlsx"), load(folder)["measurements"]
    with xlsxwriter.Workbook(path, {"constant_memory": True}) as book:
        sheet, day = book.add_worksheet("measurements"), book.add_format({"num_format": "yyyy-mm-dd"})
        sheet.write_row(0, 0, list(frame))
        dates = [at for at, name in enumerate(frame) if str(frame[name].dtype).startswith("datetime")]
        columns = [frame[name].astype(object).where(frame[name].notna(), None).tolist() for name in frame]
        for at, row in enumerate(zip(*columns, strict=True), start=1):
            sheet.write_row(at, 0, ["" if cell is None else cell for cell in row[: dates[0]]])
            for column, cell in enumerate(row[dates[0] :], start=dates[0]):
                if column in dates:
                    sheet.write_datetime(at, column, cell, day)
                elif cell is not None:
                    sheet.write(at, column, cell)
    return round(path.stat().st_size / 1e6)


def read_xlsx(path: str, name: str, repeats: int) -> dict[str, Any]:
    """Time one reader of a workbook."""
    if name == "ours":
        return best(lambda: load_submission(path), repeats)[0]
    return best(lambda: pd.read_excel(path, engine=name), 1 if name == "openpyxl" else repeats)[0]


def alone(threads: int, work: Callable[..., Any], *rest: Any) -> Any:
    """Do something in a process of its own, with so many threads."""
    for name in ("POLARS_MAX_THREADS", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "ARROW_NUM_THREADS"):
        os.environ[name] = str(threads)
    with multiprocessing.get_context("spawn").Pool(1, _bounded, (threads,)) as pool:
        return pool.apply(work, rest)


def _bounded(threads: int) -> None:
    """Keep this process to some of the cores; libraries that count cores find so many."""
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:threads])


def _say(**result: Any) -> None:
    """Print one result."""
    sys.stdout.write(json.dumps(result, ensure_ascii=False) + "\n")
    sys.stdout.flush()


def _has(package: str) -> bool:
    """Say whether a package is there."""
    return not package or importlib.util.find_spec(package) is not None


def measure_checks(folder: str, about: dict[str, int], options: argparse.Namespace) -> None:
    """Print the times of the same checks, and of all of ours, at one size."""
    rows, threads = about["rows"], about["threads"]
    seconds: dict[str, dict[str, float]] = {}
    for name, (package, _) in CHECKS_BY.items():
        if _has(package) and (name != "frictionless" or rows <= FRICTIONLESS_LIMIT) and name not in options.without:
            seconds[name] = alone(threads, check, folder, name, options.repeats)
            _say(job="checks", **about, contender=name, **seconds[name])
    name = "ours, every rule"
    seconds[name] = alone(threads, check_all, folder, options.repeats)
    _say(job="checks", **about, contender=name, **seconds[name])
    for kind in ("wall", "cpu"):
        fastest = min(each[kind] for name, each in seconds.items() if name.startswith("pandera"))
        times = {name: round(seconds[name][kind] / fastest, 2) for name in seconds if name.startswith("ours")}
        _say(job="checks", **about, over_fastest_pandera=kind, **times)


def measure_reading(folder: str, about: dict[str, int], options: argparse.Namespace) -> None:
    """Print the times to read files at one size."""
    threads, repeats, encoding = about["threads"], options.repeats, options.encoding
    if "csv" in options.jobs:
        _say(job="csv", **about, encoding=encoding, mb=alone(threads, write_csv, folder, encoding))
        path = str(Path(folder, "measurements.csv"))
        for name in ("pandas", "polars", "duckdb", "pyarrow", "ours"):
            if name == "ours" or _has(name):
                _say(job="csv", **about, reader=name, **alone(threads, read_csv, path, name, encoding, repeats))
        if _has("pyarrow"):
            _say(job="csv", **about, in_turn=alone(threads, read_csv_in_turn, path, encoding))
    if "xlsx" in options.jobs:
        _say(job="xlsx", **about, mb=alone(threads, write_xlsx, folder))
        path = str(Path(folder, "measurements.xlsx"))
        for name in ("ours", "calamine", "openpyxl"):
            _say(job="xlsx", **about, reader=name, **alone(threads, read_xlsx, path, name, repeats))


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, nargs="+", default=[27_000, 1_000_000])
    parser.add_argument("--jobs", nargs="+", choices=JOBS, default=["checks", "rules", "memory"])
    parser.add_argument("--threads", type=int, nargs="+", default=[2])
    parser.add_argument("--encoding", choices=["utf-8", "cp1252"], default="utf-8", help="of the csv")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--without", nargs="+", choices=CHECKS_BY, default=[], help="contenders to leave out")
    options = parser.parse_args()
    for rows in options.rows:
        with tempfile.TemporaryDirectory() as folder:
            _say(job="table", rows=rows, bad_rows=alone(2, prepare, folder, rows))
            for threads in options.threads:
                about = {"rows": rows, "threads": threads}
                if "checks" in options.jobs:
                    measure_checks(folder, about, options)
                if "rules" in options.jobs:
                    _say(job="rules", **about, cpu=alone(threads, by_rule, folder))
                if "memory" in options.jobs:
                    _say(job="memory", **about, **alone(threads, peak, folder))
                measure_reading(folder, about, options)


if __name__ == "__main__":
    main()
