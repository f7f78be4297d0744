"""Runs a small replication and kills its own process at a moment that is told: ``go_on.py OUT KIND NUMBER``.

KIND is ``question`` (as that question begins) or ``file`` (before that file is renamed into place).
"""

import os
import signal
import sys
from pathlib import Path

import bipstudy as bip
from bipstudy.pool import files
from bipstudy.replication import Plan, replicate

PLAN = Plan(questions=("participants", "transitions"), replications=99)


def kill() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def main(out: str, kind: str, number: int) -> None:
    begun = 0
    renamed = os.replace

    def told(_: str) -> None:
        nonlocal begun
        begun += 1
        if kind == "question" and begun == number:
            kill()

    def replace(source: str, target: str) -> None:
        nonlocal begun
        if Path(target).parent.name != ".unfinished":
            begun += kind == "file"
            if kind == "file" and begun == number + 3:
                kill()
        renamed(source, target)

    files.os.replace = replace  # type: ignore[attr-defined]
    replicate(bip.load_example(), PLAN, out, language="sv", progress=told)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
