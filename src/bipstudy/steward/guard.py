"""Who may speak to the page: this computer, this browser, this address; and what every answer forbids the browser."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from hmac import compare_digest
from typing import Any

from starlette.responses import HTMLResponse

from bipstudy.steward.pages import refusal

Scope = Any
Receive = Callable[[], Awaitable[Any]]
Send = Callable[[Any], Awaitable[None]]
Application = Callable[[Scope, Receive, Send], Awaitable[None]]

HOST = "127.0.0.1"
_NAMES = (HOST, "localhost")
_HEADERS: Mapping[str, str] = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
    "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    # Nothing stays in the browser's store, where it would outlive the page.
    "Cache-Control": "no-store",
    # With no referrer at all, browsers would not say either where a form comes from.
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), usb=(), serial=(), clipboard-read=()",
}


class Guard:
    """Answers only requests that this page can have made, each with headers that shut everything else out.

    Parameters
    ----------
    app : ASGI application
    token : str
        First part of every path.
    port : int
        The port of the page; 0 where it is not yet known.
    """

    def __init__(self, app: Application, token: str, port: int) -> None:
        self._app = app
        self._token = token.encode("ascii")
        self._hosts = {f"{name}:{port}" for name in _NAMES} | (set(_NAMES) if port == 80 else set())

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        if scope["type"] != "http":
            # No WebSocket is spoken here.
            return
        guarded = _with_headers(send)
        key, status = self._judged(scope)
        if key:
            await HTMLResponse(refusal(key), status)(scope, receive, guarded)
        else:
            await self._app(scope, receive, guarded)

    def _judged(self, scope: Scope) -> tuple[str, int]:
        """Return the key of a refusal and its status; no key for a request that is answered."""
        sent: dict[bytes, list[bytes]] = {}
        for name, value in scope["headers"]:
            sent.setdefault(name, []).append(value)
        hosts = [value.decode("latin-1") for value in sent.get(b"host", [])]
        # A foreign name that was made to point here would be told as the host (DNS rebinding).
        if len(hosts) != 1 or hosts[0].lower() not in self._hosts:
            return "steward.wrong_host", 421
        if not self._from_here(sent, hosts[0].lower(), scope["method"]):
            return "steward.cross_site", 403
        first = scope["path"].lstrip("/").split("/", 1)[0]
        if not compare_digest(first.encode("utf-8", "replace"), self._token):
            return "steward.wrong_address", 404
        return "", 200

    @staticmethod
    def _from_here(sent: Mapping[bytes, list[bytes]], host: str, method: str) -> bool:
        """Say whether no other site had the browser make this request."""
        site = sent.get(b"sec-fetch-site", [b"none"])
        if site not in ([b"same-origin"], [b"none"]):
            return False
        origins = [value.decode("latin-1").lower() for value in sent.get(b"origin", [])]
        if origins and origins != [f"http://{host}"]:
            return False
        # What changes something must say where it comes from; every browser does.
        return method in {"GET", "HEAD"} or bool(origins)


def _with_headers(send: Send) -> Send:
    """Return what sends an answer with our headers."""
    ours = [(name.lower().encode("ascii"), value.encode("ascii")) for name, value in _HEADERS.items()]
    names = {name for name, _ in ours}

    async def guarded(message: Any) -> None:
        if message["type"] == "http.response.start":
            kept = [(name, value) for name, value in message.get("headers", []) if name.lower() not in names]
            message = {**message, "headers": [*kept, *ours]}
        await send(message)

    return guarded
