"""The page served for a test, and a client that says of itself exactly what a test wants it to say."""

from __future__ import annotations

import http.client
import os
import re
import subprocess
import sys
import time
import uuid
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

COMMAND = [sys.executable, "-c", "from bipstudy.cli import main; main()", "steward", "--no-browser"]


@dataclass
class Answer:
    """What came back."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def text(self) -> str:
        """The body as text."""
        return self.body.decode("utf-8")


@dataclass
class Page:
    """A page that is served by a process of its own; `place` is the path of one visit."""

    port: int
    token: str
    process: Any = None
    place: str = ""
    headers: dict[str, str] = field(default_factory=dict)

    @property
    def host(self) -> str:
        """The host as the page knows itself."""
        return f"127.0.0.1:{self.port}"

    @property
    def origin(self) -> str:
        """Where the forms of the page come from."""
        return f"http://{self.host}"

    def ask(
        self, method: str, path: str, body: bytes | None = None, headers: dict[str, str | None] | None = None
    ) -> Answer:
        """Send a request; a header that is None is left out."""
        sent: dict[str, str | None] = {"Host": self.host}
        if method == "POST":
            sent |= {"Origin": self.origin}
        sent |= headers or {}
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        try:
            connection.putrequest(method, path, skip_host=True, skip_accept_encoding=True)
            if body is not None:
                sent.setdefault("Content-Length", str(len(body)))
            for name, value in sent.items():
                if value is not None:
                    connection.putheader(name, value)
            connection.endheaders(body)
            answer = connection.getresponse()
            return Answer(answer.status, {k.lower(): v for k, v in answer.getheaders()}, answer.read())
        finally:
            connection.close()

    def get(self, path: str = "", **headers: str) -> Answer:
        """Read an address below the visit."""
        return self.ask("GET", f"{self.place}{path}", None, dict(headers))

    def post(
        self,
        path: str,
        files: list[tuple[str, str, bytes]] = (),
        fields: dict[str, str] | None = None,
        headers: dict[str, str | None] | None = None,
    ) -> Answer:
        """Send a form with files, each as (field, name, content)."""
        content, kind = multipart(files, fields or {})
        return self.ask("POST", f"{self.place}{path}", content, {"Content-Type": kind} | (headers or {}))

    def visit(self, language: str = "sv") -> Page:
        """Return the page with a visit of its own."""
        answer = self.ask("GET", f"/{self.token}/")
        assert answer.status == 303, answer.text
        path = f"/{self.token}/{answer.headers['location']}"
        return Page(self.port, self.token, self.process, path.replace("/sv/", f"/{language}/"))

    def check(self, files: dict[str, bytes], **fields: str) -> str:
        """Send files, wait for the check, and return the page."""
        answer = self.post("check", [("files", name, content) for name, content in files.items()], fields)
        assert answer.status == 303, answer.text
        return self.wait()

    def wait(self, seconds: float = 60) -> str:
        """Return the page when its check is over."""
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            shown = self.get().text
            if 'class="working"' not in shown:
                return shown
            time.sleep(0.05)
        raise AssertionError("the check did not end")

    def stream(self) -> http.client.HTTPConnection:
        """Open what says that the page is open; to be closed as a tab is."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        connection.request("GET", f"{self.place}events", headers={"Host": self.host})
        assert connection.getresponse().status == 200
        return connection


def multipart(files: list[tuple[str, str, bytes]], fields: dict[str, str]) -> tuple[bytes, str]:
    """Return a form as a browser sends it."""
    border = uuid.uuid4().hex
    parts = [
        f'--{border}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'.encode()
        for name, value in fields.items()
    ]
    for name, filename, content in files:
        head = f'--{border}\r\nContent-Disposition: form-data; name="{name}"; filename="{filename}"\r\n'
        parts.append(head.encode() + b"Content-Type: application/octet-stream\r\n\r\n" + content + b"\r\n")
    return b"".join(parts) + f"--{border}--\r\n".encode(), f"multipart/form-data; boundary={border}"


def written(tables: dict[str, pd.DataFrame]) -> dict[str, bytes]:
    """Return tables as Swedish csv files."""
    return {
        f"{name}.csv": frame.to_csv(index=False, sep=";", lineterminator="\r\n").encode("cp1252")
        for name, frame in tables.items()
    }


def started(folder: Path, *options: str, code: str | None = None) -> Page:
    """Start the page with `folder` for its temporary files; `code` runs in the process before the command."""
    command = list(COMMAND)
    if code:
        command[2] = f"{code}; {command[2]}"
    environment = {name: value for name, value in os.environ.items() if name != "BIPSTUDY_LANGUAGE"}
    environment |= dict.fromkeys(("TMPDIR", "TEMP", "TMP"), str(folder))
    environment |= {"PYTHONIOENCODING": "utf-8"}
    process = subprocess.Popen(
        [*command, *options], stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment, cwd=folder
    )
    line = process.stdout.readline().decode("utf-8")
    found = re.search(r"http://127\.0\.0\.1:(\d+)/([\w-]+)/", line)
    assert found, (line, process.stderr.read() if process.poll() is not None else "")
    return Page(int(found[1]), found[2], process)


def ended(page: Page) -> tuple[int, str]:
    """Wait for the process, and return its exit code and what it wrote."""
    output, errors = page.process.communicate(timeout=30)
    return page.process.returncode, (output + errors).decode("utf-8")


def left_behind(folder: Path) -> list[str]:
    """Return what stands in the folder of temporary files; folders may be deleted while it is looked at."""
    # Unlike Path.rglob, os.walk passes over a folder that is gone by the time it comes to it.
    return sorted(
        (Path(parent) / name).relative_to(folder).as_posix()
        for parent, folders, files in os.walk(folder)
        for name in (*folders, *files)
    )
