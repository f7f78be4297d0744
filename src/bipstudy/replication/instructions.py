"""Instructions for whoever reruns a study: a README in the form of the Social Science Data Editors, and CODECHECK.

References
----------
Vilhuber, L., and others (2022). A template README for social science replication packages, version 1.1.
Nüst, D., Eglen, S. J. (2021). CODECHECK: an open science initiative for the independent execution of computations
underlying research articles during peer review. F1000Research 10, 253.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from bipstudy.replication.birth import BENCHMARKS, INSTRUMENTS
from bipstudy.report.numbers import count
from bipstudy.texts import text

if TYPE_CHECKING:
    from bipstudy.replication.run import Run

_GENERAL = {
    "estimates.csv": "replicate", "estimates.json": "replicate", "agreement.csv": "agreement",
    "agreement_parts.csv": "agreement", "bootstrap.csv": "resampling", "planned.csv": "summaries",
    "benchmarks.yaml": "benchmarks", "deviations.csv": "registration", "disclosure.csv": "outputs", "plan.yaml": "plan",
    "plan.registered.json": "registration", "report.html": "document", "report.pdf": "document",
}  # fmt: skip


# Where the README finds what the variables name: the run holds the findings, the user the questionnaires.
_PLACES = {BENCHMARKS: "benchmarks.yaml", INSTRUMENTS: "INSTRUMENTS"}


def readme(run: Run, files: Sequence[str]) -> str:
    """Return the README of a run's folder.

    Parameters
    ----------
    run : Run
    files : sequence of str
        Paths of the other files.

    Returns
    -------
    str
        Markdown, sections in the order of the template.
    """
    return "\n".join(_lines(run, files)) + "\n"


def codecheck(run: Run, files: Sequence[str]) -> str:
    """Return ``codecheck.yml``: what a CODECHECK reproduces; who checked is left to whoever does.

    Parameters
    ----------
    run : Run
    files : sequence of str
        Paths of the other files.

    Returns
    -------
    str
        YAML.
    """
    import yaml

    language = run.language
    content = {
        "version": "https://codecheck.org.uk/spec/config/1.0/",
        "paper": {"title": text("replication.title", language)},
        "manifest": [{"file": path, "comment": _exhibit(run, path)} for path in files if path != "README.md"],
        "summary": text("runs.codecheck_summary", language, command=_command(run, files)),
    }
    words: str = yaml.safe_dump(content, sort_keys=False, allow_unicode=True, width=110)
    return f"# {text('runs.codecheck_open', language)}\n{words}"


def _lines(run: Run, files: Sequence[str]) -> Iterator[str]:
    """Yield the lines of the README."""
    language, code = run.language, run.birth["code"]

    def say(name: str, /, **values: object) -> str:
        return text(f"runs.readme_{name}", language, **values)

    release = run.birth["release"]
    size = {name: count(value, language) for name, value in run.size.items()}
    yield from (f"# {text('replication.title', language)}", "", f"## {say('overview')}", "")
    yield from (say("overview_words", exhibits=len(files), **size), "")
    yield from (f"## {say('data')}", "", f"### {say('rights')}", "", say("rights_words"), "")
    yield from (f"### {say('availability')}", "", say("availability_words"), "")
    yield from (f"### {say('sources')}", "", f"| {say('item')} | {say('value')} |", "|---|---|")
    yield f"| {say('release')} | {say('no_release') if release is None else release} |"
    yield f"| {say('study_hash')} | `{run.birth['study_hash']}` |"
    yield from (f"| {say('table', name=name)} | `{digest}` |" for name, digest in run.birth["tables"].items())
    if run.birth["erased"]:
        total = sum(run.birth["erased"].values())
        yield from ("", say("erased", count=count(total, language)))
    yield from ("", f"## {say('requirements')}", "", f"### {say('software')}", "")
    yield from (f"- {name} {version}" for name, version in run.birth["versions"].items())
    yield f"- {say('source')}: `{code['source']}`"
    yield from (f"- {say(name)}: `{code[name]}`" for name in ("commit", "lock") if code[name])
    yield from ("", f"### {say('randomness')}", "")
    yield say("randomness_words", seed=run.birth["seed"], replications=run.birth["replications"])
    yield from ("", f"### {say('resources')}", "", say("resources_words"), "")
    yield from (f"## {say('programs')}", "", say("programs_words", hash=run.birth["plan"]), "")
    yield from (f"## {say('instructions')}", "")
    yield from (f"{say(name.lower())}\n" for name in run.birth["variables"])
    yield "```console"
    yield from (f"$ export {name}={_PLACES[name]}" for name in run.birth["variables"])
    yield f"$ {_command(run, files)}"
    yield from ("$ bipstudy compare . ../again", "```", "", say("instructions_words"), "")
    yield from ("```console", "$ bipstudy verify . --pool POOL", "```", "", say("instructions_verify"), "")
    yield from (
        f"## {say('exhibits')}",
        "",
        f"| {say('exhibit')} | {say('program')} | {say('file')} |",
        "|---|---|---|",
    )
    yield from (f"| {_exhibit(run, path)} | `{_program(path)}` | `{path}` |" for path in files)
    if run.skipped:
        yield from ("", say("skipped", names=", ".join(sorted(run.skipped))))
    yield from ("", f"## {say('references')}", "")
    yield from dict.fromkeys(f"- {benchmark.source}" for benchmark in run.benchmarks if benchmark.source)


def _command(run: Run, files: Sequence[str]) -> str:
    """Return the command that makes the run again, beside the folder in which it is given."""
    release = "" if run.birth["release"] is None else f" --release {run.birth['release']}"
    pdf = " --pdf" if "report.pdf" in files else ""
    return f"bipstudy replicate POOL{release} --plan plan.yaml --out ../again --language {run.language}{pdf}"


def _parts(path: str) -> tuple[str, str, str]:
    """Return folder, analysis and the rest of a path."""
    folder, _, name = path.rpartition("/")
    stem = name.rsplit(".", 1)[0]
    analysis, _, rest = stem.partition("_")
    return folder, analysis, rest


def _exhibit(run: Run, path: str) -> str:
    """Return what a file shows, in words."""
    folder, analysis, rest = _parts(path)
    if folder == "":
        return text(f"runs.file.{path}", run.language)
    if analysis == "agreement":
        return text(f"replication.figure_{rest}", run.language)
    if "multiverse" in (folder, analysis):
        return text("replication.section_multiverse", run.language) + (f": {rest or analysis}")
    title = text(f"analyses.{analysis}.title", run.language)
    if folder == "groups":
        return text("replication.groups_table", run.language, title=title)
    if folder == "flow":
        return text("runs.file_flow", run.language, title=title)
    result = run.results[analysis]
    key = f"analyses.{analysis}.table_{rest}" if folder == "tables" else result.figures[rest].caption
    return f"{title}: {result.words(key, run.language)}"


def _program(path: str) -> str:
    """Return the module that makes a file."""
    folder, analysis, _ = _parts(path)
    if folder == "":
        name = _GENERAL[path]
        return (
            "bipstudy.analyses.resampling"
            if name == "resampling"
            else f"bipstudy.replication.{_MODULES.get(name, name)}"
        )
    if "multiverse" in (folder, analysis):
        return "bipstudy.replication.multiverse"
    if folder == "groups":
        return "bipstudy.analyses.subgroups"
    return "bipstudy.replication.drawing" if analysis == "agreement" else f"bipstudy.analyses.{analysis}"


_MODULES = {"replicate": "run"}
