"""The process that reads and checks files for the page, so that it can be stopped at once and takes its memory along.

It is spoken to in lines of JSON and dies with the page: where the page ends without a word, the folder of the session
is deleted here.
"""

from __future__ import annotations

import json
import os
import queue
import shutil
import signal
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO

from bipstudy.texts import LANGUAGES, BipstudyError

Say = Callable[[str], None]
Job = dict[str, Any]
KEPT = "kept.bin"
# Findings for which a file of names and values may be the cure.
_FOR_A_MAPPING = {
    "unknown-sheet", "unclear-table", "no-header", "missing-column", "unknown-column",
    "missing-item-column", "item-not-in-file",
}  # fmt: skip


def check(job: Job, say: Say) -> dict[str, Any]:
    """Read and check what was submitted, and write the report in every language into the folder of the run."""
    from bipstudy.loaders import load_submission
    from bipstudy.steward.comparing import Kept, compare, keep, told
    from bipstudy.validation import validate
    from bipstudy.validation.identifiers import redact
    from bipstudy.validation.page import parts

    folder = Path(job["folder"])
    say("reading")
    submission = load_submission(
        job["target"],
        mapping=job["mapping"],
        organisation=job["organisation"] or None,
        extracted_on=job["extracted_on"] or None,
    )
    say("checking")
    report = validate(submission, language=LANGUAGES[0])
    say("writing")
    kept = keep(submission, report, bytes.fromhex(job["secret"]))
    changes = compare(Kept.read(Path(job["before"])), kept) if job["before"] else None
    kept.write(folder / KEPT)
    for language in LANGUAGES:
        spoken = report.in_language(language)
        pieces = parts(spoken)
        for name, written in (("report", pieces.page), ("top", pieces.top), ("main", pieces.main)):
            (folder / f"{name}.{language}.html").write_text(written, encoding="utf-8", newline="\n")
        if changes is not None:
            said = json.dumps(told(changes, language))
            (folder / f"changes.{language}.json").write_text(said, encoding="utf-8")
    codes = set(report.places["code"])
    target = Path(job["target"])
    return {
        # A number that is no name of a file is not repeated in another.
        "name": redact(target.stem if target.is_file() else target.name),
        "ok": report.ok,
        "findings": len(report.places),
        "changes": None if changes is None else {name: len(one.places) for name, one in changes.items()},
        "mapping_may_help": bool(codes & _FOR_A_MAPPING) and not job["mapping"],
        "unrecognised": not submission.sent and not job["mapping"],
    }


def make(job: Job, say: Say) -> dict[str, Any]:
    """Write a file that somebody wants to take along."""
    del say
    out, language = Path(job["out"]), str(job["language"])
    _MAKERS[job["what"]](job, out, language)
    return {}


def _template(_: Job, out: Path, language: str) -> None:
    """Write the empty template."""
    from bipstudy.schema.template import write_template

    write_template(out, language=language)


def _codebook(_: Job, out: Path, language: str) -> None:
    """Write the codebook as a workbook."""
    from bipstudy.schema.codebook import write_xlsx

    write_xlsx(out, language)


def _draft(job: Job, out: Path, language: str) -> None:
    """Write a draft of a mapping for what was submitted."""
    from bipstudy.loaders.draft import draft_mapping

    # Written as Windows writes text, since it is there that it is opened.
    out.write_text(draft_mapping(job["target"], language), encoding="utf-8", newline="\r\n")


def _json(job: Job, out: Path, language: str) -> None:
    """Write the findings for a program."""
    _report(job, language).to_json(out)


def _findings(job: Job, out: Path, language: str) -> None:
    """Write the findings as a workbook."""
    _report(job, language).to_excel(out)


def _marked(job: Job, out: Path, language: str) -> None:
    """Write what was submitted with the findings marked in it."""
    from bipstudy.loaders import read_mapping
    from bipstudy.validation.marked import write_marked

    encoding = read_mapping(job["mapping"]).encoding if job["mapping"] else None
    write_marked(_report(job, language), job["target"], out, encoding)


def _report(job: Job, language: str) -> Any:
    """Return the report of the run."""
    from bipstudy.steward.comparing import Kept

    return Kept.read(Path(job["folder"]) / KEPT).report.in_language(language)


_MAKERS: dict[str, Callable[[Job, Path, str], None]] = {
    "template": _template,
    "codebook": _codebook,
    "draft": _draft,
    "json": _json,
    "findings": _findings,
    "marked": _marked,
}
_JOBS: dict[str, Callable[[Job, Say], dict[str, Any]]] = {"check": check, "make": make}


def answered(job: Job, say: Say) -> dict[str, Any]:
    """Do a job and return its answer; what goes wrong is told in every language, and never with a value of a cell."""
    try:
        return {"done": _JOBS[job["job"]](job, say)}
    except BipstudyError as error:
        # The page knows files by their names alone; where its folder is concerns nobody.
        error.values = {name: Path(v).name if isinstance(v, Path) else v for name, v in error.values.items()}
        return {"failed": {language: error.message(language) for language in LANGUAGES}}
    except Exception as error:
        if os.environ.get("BIPSTUDY_DEBUG"):
            raise
        return {"unexpected": type(error).__name__}


def _listen(lines: BinaryIO, jobs: queue.SimpleQueue[Job], root: Path) -> None:
    """Hand jobs on, and take everything along when the page is gone."""
    for line in lines:
        jobs.put(json.loads(line))
    shutil.rmtree(root, ignore_errors=True)
    os._exit(0)


def main() -> None:
    """Do jobs until the page is gone; the folder of the session is the only argument."""
    # An interrupt from the keyboard is for the page, which then lets go of this process.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    output = os.fdopen(os.dup(sys.stdout.fileno()), "wb", buffering=0)
    # Whatever a library prints must not be taken for an answer.
    sys.stdout = sys.stderr
    jobs: queue.SimpleQueue[Job] = queue.SimpleQueue()
    listener = threading.Thread(target=_listen, args=(sys.stdin.buffer, jobs, Path(sys.argv[1])), daemon=True)
    listener.start()

    def told(answer: dict[str, Any]) -> None:
        output.write(json.dumps(answer).encode("ascii") + b"\n")

    # Loaded while the person still reads the page.
    import bipstudy.steward.comparing  # noqa: F401

    while True:
        job = jobs.get()
        told(answered(job, lambda step: told({"step": step})))


if __name__ == "__main__":
    main()
