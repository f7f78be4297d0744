"""Worlds in which something that the twin assumes, because nothing is published, is assumed otherwise.

Each is a scenario file beside this one. Those on top of ``danish_twin`` meet its published outcomes again, by
``python -m bipstudy.simulation.calibration FILE``; those on top of ``selection_only`` differ from it in one number.
"""

from __future__ import annotations

from pathlib import Path

from bipstudy.simulation import Scenario, scenario, scenario_names

__all__ = ["world", "worlds"]

FOLDER = Path(__file__).with_name("assumptions")


def worlds() -> tuple[str, ...]:
    """Return the names of these scenarios, sorted.

    Returns
    -------
    tuple of str

    Examples
    --------
    >>> "twin_much_private" in worlds()
    True
    """
    return tuple(sorted(path.stem for path in FOLDER.glob("*.yaml")))


def world(name: str) -> Scenario:
    """Return one of these scenarios, or one of the package.

    Parameters
    ----------
    name : str

    Returns
    -------
    Scenario

    Raises
    ------
    BipstudyError
        There is none of that name.

    Examples
    --------
    >>> world("twin_much_private").people.private_share, world("danish_twin").people.private_share
    (0.6, 0.3)
    """
    return scenario(name if name in scenario_names() else FOLDER / f"{name}.yaml")
