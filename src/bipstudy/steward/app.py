"""The addresses of the page, and what happens at each."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from starlette.applications import Starlette
from starlette.background import BackgroundTask
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import FileResponse, HTMLResponse, JSONResponse, RedirectResponse, Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from bipstudy.steward import pages, uploads
from bipstudy.steward.conducting import Conductor
from bipstudy.steward.engine import Engine
from bipstudy.steward.guard import Guard
from bipstudy.steward.visits import Root, Run, Visit, Visits, remove
from bipstudy.steward.worker import KEPT
from bipstudy.texts import LANGUAGES, text

_TICK_SECONDS, _QUIET_TICKS, _LAST_SECONDS = 0.25, 40, 1.0
_XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
# What can be taken along: the name of it in the catalogue, its type, and whether it belongs to no check.
_SHARED = {"template": _XLSX, "codebook": _XLSX}
_OF_A_RUN = {
    "report": "text/html",
    "json": "application/json",
    "findings": _XLSX,
    "marked": _XLSX,
    "draft": "text/yaml",
}


@dataclass
class Steward:
    """What every address of the page shares.

    Attributes
    ----------
    token : str
        First part of every path.
    language : {"sv", "en"}
        In which a page begins.
    mapping : Path or None
        With which it begins.
    end : callable
        Ends the program.
    ending : callable
        Says whether it is ending.
    """

    token: str
    language: str = "sv"
    mapping: Path | None = None
    end: Callable[[], None] = lambda: None
    ending: Callable[[], bool] = lambda: False
    root: Root = field(init=False)
    conductor: Conductor = field(init=False)
    _alive: bool = False

    @property
    def visits(self) -> Visits:
        """The pages that are open."""
        return self.conductor.visits

    @contextlib.asynccontextmanager
    async def life(self, _: Starlette) -> AsyncIterator[None]:
        """Have a folder and a worker for as long as the page is served, and nothing afterwards."""
        self.root = Root()
        engine = Engine(self.root.path)
        self._alive = True
        self.conductor = Conductor(Visits(self.root.path, self.mapping), engine)
        sweeper = asyncio.create_task(self.conductor.sweep())
        try:
            await asyncio.to_thread(engine.start)
            yield
        finally:
            sweeper.cancel()
            await asyncio.to_thread(self.clear)

    def clear(self) -> None:
        """Let go of the worker and delete the folder, if that is not done."""
        if self._alive:
            self.conductor.engine.close()
            self.root.remove()
            self._alive = False


def application(steward: Steward, port: int) -> Guard:
    """Return the page as an ASGI application.

    Parameters
    ----------
    steward : Steward
    port : int
        On which it is served; requests to another are refused.

    Returns
    -------
    Guard
    """
    begin = f"/{steward.token}"
    visit = f"{begin}/{{visit}}/{{language}}"
    routes = [
        Route(f"{begin}/", steward_entry(steward)),
        Route(f"{begin}/style.css", _fixed(pages.style, "text/css")),
        Route(f"{begin}/script.js", _fixed(pages.script, "text/javascript")),
        Route(f"{begin}/icon.svg", _fixed(pages.icon, "image/svg+xml")),
        Route(f"{visit}/", _of_visit(steward, _page)),
        Route(f"{visit}/check", _of_visit(steward, _check), methods=["POST"]),
        Route(f"{visit}/stop", _of_visit(steward, _stop), methods=["POST"]),
        Route(f"{visit}/end", _of_visit(steward, _end), methods=["POST"]),
        Route(f"{visit}/events", _of_visit(steward, _events)),
        Route(f"{visit}/get/{{what}}", _of_visit(steward, _get)),
    ]
    handlers: Any = {HTTPException: _wrong, Exception: _unexpected}
    return Guard(Starlette(routes=routes, lifespan=steward.life, exception_handlers=handlers), steward.token, port)


Answer = Callable[[Steward, Request, Visit, str], Any]


def steward_entry(steward: Steward) -> Callable[[Request], Any]:
    """Return what makes a new page."""

    async def entry(_: Request) -> Response:
        visit = steward.visits.new()
        if visit is None:
            return HTMLResponse(_notice(steward.language, "problem", "too_many_pages", top=""), 503)
        return RedirectResponse(f"{visit.id}/{steward.language}/", 303)

    return entry


def _fixed(content: Callable[[], str], kind: str) -> Callable[[Request], Any]:
    """Return what sends a file that is the same for all."""

    async def send(_: Request) -> Response:
        return Response(content(), media_type=kind)

    return send


def _of_visit(steward: Steward, answer: Answer) -> Callable[[Request], Any]:
    """Return what answers for an open page, in the language of the address."""

    async def endpoint(request: Request) -> Any:
        language = request.path_params["language"]
        if language not in LANGUAGES:
            raise HTTPException(404)
        visit = steward.visits.find(request.path_params["visit"])
        if visit is None or visit.closed:
            again = f"/{steward.token}/"
            return HTMLResponse(_notice(language, "gone_title", "gone_long", again, "start_over", top=again), 404)
        visit.touch()
        return await answer(steward, request, visit, language)

    return endpoint


async def _page(_: Steward, __: Request, visit: Visit, language: str) -> Response:
    """Show the page as it is now."""
    return HTMLResponse(await asyncio.to_thread(pages.show, visit, language))


async def _check(steward: Steward, request: Request, visit: Visit, language: str) -> Response:
    """Take files and put them in line."""
    with visit.in_use():
        try:
            form = await uploads.read_form(request)
        except uploads.Refused as refused:
            return _refused(request, visit, language, refused)
        except ClientDisconnect:
            return Response(status_code=400)
    try:
        if visit.taking or (visit.run is not None and visit.run.open):
            raise uploads.Refused("steward.busy")
        visit.taking = True
        try:
            run = await asyncio.to_thread(_taken, visit, form, language)
        finally:
            visit.taking = False
        steward.conductor.begin(visit, run)
    except uploads.Refused as refused:
        return _refused(request, visit, language, refused)
    except OSError:
        return _refused(request, visit, language, uploads.Refused("steward.no_room"))
    finally:
        await form.close()
    return JSONResponse({}) if _by_script(request) else RedirectResponse("./", 303)


def _taken(visit: Visit, form: Any, language: str) -> Run:
    """Write down what was sent, and delete what the check before had left."""
    visit.organisation = uploads.word(form, "organisation")
    visit.extracted_on = uploads.word(form, "extracted_on")
    if uploads.word(form, "no_mapping"):
        visit.mapping = None
    for mapping in uploads.uploads(form, "mapping"):
        visit.mapping = uploads.save_mapping(mapping, visit.folder / "mapping")
    folder = visit.next_folder()
    sent = [*uploads.uploads(form, "files"), *uploads.uploads(form, "folder")]
    try:
        target = uploads.save(sent, folder / "files", text("steward.name_together", language))
        visit.forget_run(KEPT)
    except BaseException:
        remove(folder)
        raise
    return Run(visit.runs, folder, target)


def _refused(request: Request, visit: Visit, language: str, refused: uploads.Refused) -> Response:
    """Say what was not taken, and what to do."""
    words = text(refused.key, language, **refused.values)
    status = 413 if refused.key == "steward.too_large" else 400
    if _by_script(request):
        return JSONResponse({"problem": words}, status)
    return HTMLResponse(pages.show(visit, language, words), status)


def _by_script(request: Request) -> bool:
    """Say whether the script of the page asks, which shows the answer itself."""
    return "application/json" in request.headers.get("accept", "")


async def _stop(steward: Steward, request: Request, visit: Visit, language: str) -> Response:
    """End the check that is under way."""
    del request, language
    run = visit.run
    await steward.conductor.stop(visit)
    if run is not None and run.state == "stopped":
        await asyncio.to_thread(remove, run.folder)
    return RedirectResponse("./", 303)


async def _end(steward: Steward, request: Request, visit: Visit, language: str) -> Response:
    """Delete everything and end the program."""
    del request
    await steward.conductor.close(visit)
    words = _notice(language, "ended_title", "ended_long")

    async def later() -> None:
        # The browser asks for the style of the page first.
        await asyncio.sleep(_LAST_SECONDS)
        steward.end()

    return HTMLResponse(words, background=BackgroundTask(later))


async def _events(steward: Steward, request: Request, visit: Visit, language: str) -> _Events:
    """Tell the page how far its check has come, for as long as it is open."""
    del language
    return _Events(steward, request, visit)


class _Events:
    """An answer that lasts as long as the page: while it lasts, the page is open."""

    def __init__(self, steward: Steward, request: Request, visit: Visit) -> None:
        self._steward, self._request, self._visit = steward, request, visit

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send an event whenever something has changed."""
        del scope, receive
        with self._visit.in_use(stream=True), contextlib.suppress(OSError):
            headers = [(b"content-type", b"text/event-stream; charset=utf-8")]
            await send({"type": "http.response.start", "status": 200, "headers": headers})
            # A page that has lost us asks again after a second.
            await send({"type": "http.response.body", "body": b"retry: 1000\n\n", "more_body": True})
            said, quiet = "", 0
            while not (self._steward.ending() or self._visit.closed or await self._request.is_disconnected()):
                now, quiet = json.dumps(_state(self._visit)), quiet + 1
                if now != said or quiet > _QUIET_TICKS:
                    said, quiet = now, 0
                    await send({"type": "http.response.body", "body": f"data: {now}\n\n".encode(), "more_body": True})
                await asyncio.sleep(_TICK_SECONDS)
            await send({"type": "http.response.body", "body": b""})


def _state(visit: Visit) -> dict[str, Any]:
    """Return how far the check of a page has come."""
    run = visit.run
    if run is None:
        return {"run": 0, "state": "start", "step": ""}
    return {"run": run.number, "state": run.state, "step": run.step}


async def _get(steward: Steward, request: Request, visit: Visit, language: str) -> Response:
    """Send a file to take along."""
    what = request.path_params["what"]
    run = visit.run
    if what in _SHARED:
        out = steward.root.path / "shared" / f"{what}.{language}.xlsx"
        problem = await steward.conductor.make(visit, out, {"what": what, "language": language})
        return _file(out, what, _SHARED[what], language, problem)
    if what not in _OF_A_RUN:
        raise HTTPException(404)
    if run is None or run.state not in ({"done", "failed"} if what == "draft" else {"done"}):
        return HTMLResponse(_notice(language, "problem", "not_yet", "../", "back", top="../../../"), 404)
    if what == "report":
        return _file(run.folder / f"report.{language}.html", what, _OF_A_RUN[what], language)
    job = {
        "what": what,
        "language": language,
        "folder": str(run.folder),
        "target": str(run.target),
        "mapping": None if visit.mapping is None else str(visit.mapping),
    }
    out = run.folder / "made" / f"{language}.{what}{'.xlsx' if _OF_A_RUN[what] == _XLSX else ''}"
    problem = await steward.conductor.make(visit, out, job)
    name = f"{run.answer.get('name')}-{text('marked.ending', language)}.xlsx"
    return _file(out, what, _OF_A_RUN[what], language, problem, name if what == "marked" else None)


def _file(
    path: Path, what: str, kind: str, language: str, problem: dict[str, str] | None = None, name: str | None = None
) -> Response:
    """Send a file to be saved under its name, or say why there is none."""
    if problem is not None:
        return HTMLResponse(pages.notice(language, "problem", problem[language], "../", "back", top="../../../"), 409)
    return FileResponse(path, media_type=kind, filename=name or text(f"steward.name_{what}", language))


async def _wrong(request: Request, error: Exception) -> Response:
    """Answer for an address that there is not."""
    del request
    status = error.status_code if isinstance(error, HTTPException) else 404
    return HTMLResponse(pages.refusal("steward.wrong_address"), status)


async def _unexpected(request: Request, error: Exception) -> Response:
    """Answer for what nobody thought of: the kind of the error, and never its words, which may hold a value."""
    language = request.path_params.get("language", LANGUAGES[0])
    language = language if language in LANGUAGES else LANGUAGES[0]
    words = text("steward.unexpected", language, kind=type(error).__name__)
    return HTMLResponse(pages.notice(language, "problem", words), 500)


def _notice(language: str, title: str, words: str, link: str = "", link_words: str = "", *, top: str = "../../") -> str:
    """Return a page that says a sentence of the catalogue."""
    return pages.notice(language, title, text(f"steward.{words}", language), link, link_words, top=top)
