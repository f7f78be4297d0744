"""What the browser is shown: one template for every state of a page, with everything that is filled in escaped."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

from bipstudy.house import house_css
from bipstudy.steward.uploads import MAX_BYTES
from bipstudy.steward.visits import Visit
from bipstudy.texts import LANGUAGES, text

_HERE = Path(__file__).parent
STEPS = ("received", "reading", "checking", "writing")
_CHANGES = ("gone", "left", "new", "untried")
_ICON = (
    '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 34 34"><circle cx="17" cy="17" r="17" fill="#1b5e8c"/>'
    '<path d="M9.5 17.5l5 5 10-11" fill="none" stroke="#fff" stroke-width="3.4" stroke-linecap="round" '
    'stroke-linejoin="round"/></svg>'
)


def style() -> str:
    """Return the style of the page: that of the house, that of a report, and its own."""
    report = _HERE.parent.joinpath("validation", "report.css").read_text(encoding="utf-8")
    return "\n".join([house_css(), report, _read("page.css")])


def script() -> str:
    """Return the script of the page, without which it works as plain forms."""
    return _read("page.js")


def icon() -> str:
    """Return the picture beside the title of the tab."""
    return _ICON


def show(visit: Visit, language: str, problem: str | None = None) -> str:
    """Return the page of a visit.

    Parameters
    ----------
    visit : Visit
    language : {"sv", "en"}
    problem : str, optional
        A sentence on what was refused just now.

    Returns
    -------
    str
    """
    run = visit.run
    state = "start" if run is None else "working" if run.open else run.state
    if run is not None and state == "failed" and run.problem is not None:
        problem = problem or run.problem[language]
    return _render(
        "page.html.j2",
        language,
        state=state,
        visit=visit,
        run=run,
        problem=problem,
        page_title=_title(visit, language, state),
        again=visit.base is not None or state == "done",
        limit=f"{MAX_BYTES // 2**20} MB",
        max_bytes=MAX_BYTES,
        steps=STEPS,
        at=STEPS.index(run.step) if run is not None and run.step else 0,
        report=_report(visit, language) if state == "done" else None,
    )


def notice(language: str, title: str, words: str, link: str = "", link_words: str = "", *, top: str = "../../") -> str:
    """Return a page that says one thing.

    Parameters
    ----------
    language : {"sv", "en"}
    title, link_words : str
        Keys of the catalogue.
    words : str
        What is said.
    link : str
        Where to go from here, if anywhere.
    top : str
        The way to the first part of the address.

    Returns
    -------
    str
    """
    return _render("notice.html.j2", language, title=title, words=words, link=link, link_words=link_words, top=top)


def refusal(key: str) -> str:
    """Return what a stranger is told, in every language and without anything of the page."""
    words = [(each, text(key, each)) for each in LANGUAGES]
    return str(_environment().get_template("refusal.html.j2").render(words=words))


def _title(visit: Visit, language: str, state: str) -> str:
    """Return what the page is called now."""
    if state == "done":
        assert visit.run is not None
        return text(f"validation.verdict_{'ok' if visit.run.answer['ok'] else 'bad'}", language)
    key = {"working": "working_title", "failed": "failed_title"}.get(state, "start_title")
    return text(f"steward.{key}", language)


def _report(visit: Visit, language: str) -> dict[str, Any]:
    """Return the pieces of the report of a run that is done."""
    from markupsafe import Markup

    assert visit.run is not None
    folder = visit.run.folder
    # Made by the template of the report, which has escaped them.
    top, main = (Markup((folder / f"{name}.{language}.html").read_text(encoding="utf-8")) for name in ("top", "main"))
    changes = folder / f"changes.{language}.json"
    told = json.loads(changes.read_text(encoding="utf-8")) if changes.exists() else {}
    shown = [(name, told[name]) for name in _CHANGES if told and (name != "untried" or told[name]["count"])]
    return {"top": top, "main": main, "changes": shown}


def _render(template: str, language: str, **values: Any) -> str:
    """Return a page from a template."""
    filled = _environment().get_template(template)
    return str(
        filled.render(
            language=language,
            others=[each for each in LANGUAGES if each != language],
            say=lambda key, **values: text(key if "." in key else f"steward.{key}", language, **values),
            number=lambda value: f"{value:,}".replace(",", "\u00a0"),
            **values,
        )
    )


@cache
def _environment() -> Any:
    """Return the templates of this folder."""
    import jinja2

    return jinja2.Environment(
        loader=jinja2.FileSystemLoader(_HERE, encoding="utf-8"),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )


def _read(name: str) -> str:
    """Return a file of this folder."""
    return _HERE.joinpath(name).read_text(encoding="utf-8")
