"""Where the files of ``data_schemas`` are, and how one is read."""

from __future__ import annotations

import os
from functools import cache
from pathlib import Path
from typing import Any

SCHEMA_VERSION = 1


@cache
def folder() -> Path:
    """Return the folder ``data_schemas``: inside an installed package, or at the top of a checkout."""
    package = Path(__file__).resolve().parents[1]
    installed = package / "data_schemas"
    return installed if installed.is_dir() else package.parents[1] / "data_schemas"


def read_yaml(path: Path) -> dict[str, Any]:
    """Return the content of one YAML file."""
    import yaml

    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    with path.open(encoding="utf-8") as file:
        content: dict[str, Any] = yaml.load(file, Loader=loader)
    return content


def instrument_folders() -> list[Path]:
    """Return the folders that hold questionnaires: ours, then the user's (variable ``BIPSTUDY_INSTRUMENTS``)."""
    folders = [folder() / "instruments"]
    own = os.environ.get("BIPSTUDY_INSTRUMENTS")
    if own:
        folders.append(Path(own))
    return folders
