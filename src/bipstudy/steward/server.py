"""From the command to the page: a socket on this computer only, the browser, and nothing left at the end."""

from __future__ import annotations

import logging
import os
import secrets
import socket
import threading
import webbrowser
from collections.abc import Callable
from pathlib import Path

from bipstudy.texts import BipstudyError, text

HOST = "127.0.0.1"


def serve(
    *,
    port: int = 0,
    browser: bool = True,
    mapping: Path | None = None,
    language: str = "sv",
    say: Callable[[str], None] = print,
) -> None:
    """Serve the page until it is ended, from the page or from the keyboard.

    Parameters
    ----------
    port : int
        0 takes a free one.
    browser : bool
        Whether to open the browser.
    mapping : Path, optional
        Mapping with which every page begins.
    language : {"sv", "en"}
    say : callable
        Called with what the person who started it should know.

    Raises
    ------
    BipstudyError
        The extra is not installed, the port is taken, or the mapping is wrong.
    """
    try:
        import python_multipart  # noqa: F401
        import starlette  # noqa: F401
        import uvicorn
    except ImportError:
        raise BipstudyError("steward.no_extra") from None
    from bipstudy.steward.app import Steward, application

    if mapping is not None:
        from bipstudy.loaders import read_mapping

        read_mapping(mapping)
        mapping = mapping.resolve()
    steward = Steward(secrets.token_urlsafe(24), language, mapping)
    with _listening(port) as listener:
        _quiet()
        port = int(listener.getsockname()[1])
        config = uvicorn.Config(
            application(steward, port),
            lifespan="on",
            ws="none",
            loop="asyncio",
            http="h11",
            proxy_headers=False,
            timeout_graceful_shutdown=3,
            # No log at all: what is asked for, and what goes wrong, may name a file or a person.
            log_config=None,
            log_level="critical",
            access_log=False,
            server_header=False,
        )
        server = uvicorn.Server(config)
        steward.end = lambda: setattr(server, "should_exit", True)
        steward.ending = lambda: server.should_exit
        address = f"http://{HOST}:{port}/{steward.token}/"
        say(text("steward.started", language, address=address))
        if browser:
            threading.Thread(target=_open, args=(address, language, say), daemon=True).start()
        try:
            server.run(sockets=[listener])
        except KeyboardInterrupt:
            # That is how it is ended.
            pass
        finally:
            steward.clear()
    say(text("steward.ended", language))


def _listening(port: int) -> socket.socket:
    """Return a socket that only this computer reaches."""
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    try:
        # On Windows the option means that another program may take the port as well.
        listener.setsockopt(socket.SOL_SOCKET, getattr(socket, "SO_EXCLUSIVEADDRUSE", socket.SO_REUSEADDR), 1)
        listener.bind((HOST, port))
        # Whoever is quicker than the server waits a moment.
        listener.listen(64)
    except (OSError, OverflowError):
        listener.close()
        raise BipstudyError("steward.port_taken", port=port) from None
    return listener


def _open(address: str, language: str, say: Callable[[str], None]) -> None:
    """Open the browser, or say that there is none."""
    try:
        opened = webbrowser.open(address)
    except (webbrowser.Error, OSError):
        opened = False
    if not opened:
        say(text("steward.open_yourself", language))


def _quiet() -> None:
    """Keep libraries from writing what went wrong, since their words may hold a value from a file."""
    if not os.environ.get("BIPSTUDY_DEBUG"):
        logging.getLogger("asyncio").setLevel(logging.CRITICAL + 1)
        logging.getLogger("uvicorn.error").setLevel(logging.CRITICAL + 1)
