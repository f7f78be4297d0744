"""The truth of each primary estimand in a scenario, from a large draw; run as a module it is computed anew.

``python -m bipstudy.certification.truths danish_twin`` computes the truths of a scenario and writes them to
``truths.yaml``, with the hash of the scenario's parameters; of one in which an assumption is another one, those that
are tried there. Nothing of `bipstudy.models` is used but for omega.

Transitions are never drawn for a truth: everybody's probability follows from the hazards of the simulator, given the
path of caseworkers and progression. Where an analysis asks about an association, its truth is the population value of
the same contrast: the model that its estimand names, fitted to these probabilities in some hundred thousand
participants. So what is tried are outcomes, censoring and its weights, clustering and small samples, and not whether
the contrast is one that should be asked about.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from bipstudy.certification.assumptions import world
from bipstudy.certification.design import Floats
from bipstudy.certification.expected import expected_between, fractional_fit
from bipstudy.schema import read_yaml
from bipstudy.simulation import simulate_study
from bipstudy.simulation import tables as simulated
from bipstudy.simulation.cohort import QUARTER_DAYS, Ints
from bipstudy.simulation.events import Intervention
from bipstudy.simulation.scenario import Scenario
from bipstudy.simulation.streams import streams
from bipstudy.simulation.study import Draw, draw
from bipstudy.study import Study

__all__ = ["Truth", "compute", "read", "write"]

FILE = Path(__file__).with_name("truths.yaml")
DRAWS, PARTICIPANTS, SEED = 8, 20_000, 20_260_101
WASHOUT = 30 / QUARTER_DAYS
YEAR = 4.0
_CASEWORKERS, _CLIENTS = 300, 400


@dataclass(frozen=True)
class Truth:
    """A truth with its Monte Carlo error.

    Attributes
    ----------
    value, error : float
        Ratios as logarithms.
    """

    value: float
    error: float


@dataclass(frozen=True)
class _World:
    """A drawn study with what it was drawn from."""

    given: Scenario
    participants: int
    seed: np.random.SeedSequence

    @cached_property
    def drawn(self) -> Draw:
        """People, paths and follow-up: the same seed gives those of the study."""
        return draw(self.given, self.participants, streams(self.seed))

    @cached_property
    def study(self) -> Study:
        """The study as an analysis gets it."""
        return simulate_study(self.participants, self.seed, self.given)[0]

    @cached_property
    def panel(self) -> pd.DataFrame:
        """Its panel."""
        from bipstudy.panel import build_panel

        return build_panel(self.study)

    @cached_property
    def episodes(self) -> pd.DataFrame:
        """Its episodes."""
        from bipstudy.panel import build_episodes

        return build_episodes(self.study)

    def persons(self, frame: pd.DataFrame) -> Ints:
        """Return the place of each row's participant among those drawn."""
        table = self.study.participants
        labels = pd.Index(table["organisation_id"].astype(object) + "/" + table["participant_id"].astype(object))
        return np.asarray(labels.get_indexer(frame["participant"].astype(object)), dtype=np.int64)

    def risks(self, frame: pd.DataFrame, begin: Floats, end: Floats, *, competing: bool = True) -> Floats:
        """Return probabilities of rows of participants, between days since their first measurement in the study."""
        paths = self.drawn.paths.take(self.persons(frame))
        return expected_between(paths, begin / QUARTER_DAYS, end / QUARTER_DAYS, competing=competing)

    def after(self, frame: pd.DataFrame, months: float) -> Floats:
        """Return probabilities within some months of each occasion, from the wash-out after it."""
        first = self.drawn.cohort.first[self.persons(frame)]
        day = frame["answered_on"].to_numpy(dtype="datetime64[D]").astype(np.int64) - first
        return self.risks(frame, day + 30.0, day + months * QUARTER_DAYS / 3)


def _shares(world: _World) -> dict[str, float]:
    """Return shares of those drawn: traits; changes and activities until the transition or the end of follow-up.

    Who is in work or study already has no time in which to change or to begin, and counts as not having done so.
    """
    cohort, drawn = world.drawn.cohort, world.drawn
    free = drawn.paths.running_until == 0
    changer, _, _ = simulated.change_days(cohort, drawn.changes, drawn.follow_up)
    _, taken = simulated.activities_taken(cohort, drawn.activities, drawn.follow_up)
    changed = np.isin(np.arange(cohort.size), changer) & free
    active = np.isin(np.arange(cohort.size), drawn.activities.person[taken]) & free
    return {
        "participants.no_vocational_qualification": 1.0 - float(cohort.vocational.mean()),
        "participants.mental_ill_health": float(cohort.mental.mean()),
        "participants.musculoskeletal_disorder": float(cohort.musculoskeletal.mean()),
        "participants.work_or_study_share_5y": float(cohort.history.mean()),
        "participants.share_with_change": float(changed.mean()),
        "participants.share_without_activity": 1.0 - float(active.mean()),
    }


def _transitions(world: _World) -> dict[str, float]:
    """Return the expected incidence of those at risk at the first measurement."""
    paths = world.drawn.paths
    count = paths.cohort.size
    risk = expected_between(paths, np.zeros(count), np.full(count, YEAR))
    return {"transitions.everyone": float(risk[paths.running_until == 0].mean())}


def _indicators(world: _World) -> dict[str, float]:
    """Return standardised differences per standard deviation, from logits of expected risks."""
    from bipstudy.analyses.indicators import primary_sample
    from bipstudy.analyses.indicators_models import asked, turned

    sample = primary_sample(world.panel)
    risk = world.after(sample.frame, 12)
    found = {}
    for each in asked():
        z = turned(sample.column(each.column), each.item)
        given = ~np.isnan(z)
        matrix = np.column_stack([np.ones(len(z)), z, sample.background])[given]
        slopes = fractional_fit(matrix, risk[given])
        low, high = (_logistic(matrix, slopes, {1: half}) for half in (-0.5, 0.5))
        found[f"indicators.{each.item}"] = float(high.mean() - low.mean())
    return found


def _logistic(matrix: Floats, slopes: Floats, values: dict[int, float]) -> Floats:
    """Return risks with some columns set."""
    changed = matrix.copy()
    for column, value in values.items():
        changed[:, column] = value
    return np.asarray(1 / (1 + np.exp(-changed @ slopes)))


def _belief(world: _World) -> dict[str, float]:
    """Return the log ratio of standardised risks, from a logit of expected risks on answer and covariates."""
    from bipstudy.analyses.belief import primary_samples
    from bipstudy.analyses.belief_contrasts import GROUPS, MAIN

    sample, _ = primary_samples(world.study, world.panel)
    terms = [*GROUPS, *(sample.rungs[MAIN] or [])]
    matrix = _matrix(sample.frame, terms)
    slopes = fractional_fit(matrix, world.after(sample.frame, 12))
    low, high = (_logistic(matrix, slopes, {1: 0.0, 2: top}) for top in (0.0, 1.0))
    return {"belief.belief_top_vs_bottom": float(np.log(high.mean() / low.mean()))}


def _matrix(frame: pd.DataFrame, terms: Iterable[str]) -> Floats:
    """Return columns beside a constant."""
    return np.column_stack([np.ones(len(frame)), *(frame[term].to_numpy(dtype=np.float64) for term in terms)])


def _activities(world: _World) -> dict[str, float]:
    """Return the difference by least squares in progression as drawn, and the log ratio of expected risks."""
    from bipstudy.analyses.activities import KINDS, primary_sample

    frame, adjustment = primary_sample(world.study, world.panel)
    exposures = [f"act_{name}" for name in KINDS]
    matrix = _matrix(frame, [*exposures, *adjustment])
    place = 1 + exposures.index("act_job_parallel")
    moved = frame["progression"].notna().to_numpy()
    answered = frame["progression"].to_numpy(dtype=np.float64)[moved]
    sd = float(np.linalg.lstsq(matrix[moved], answered, rcond=1e-12)[0][place])
    slopes = fractional_fit(matrix, world.after(frame, 12))
    none = dict.fromkeys(range(1, 1 + len(exposures)), 0.0)
    low, high = (_logistic(matrix, slopes, {**none, place: value}) for value in (0.0, 1.0))
    return {"activities.progression": sd, "activities.transition": float(np.log(high.mean() / low.mean()))}


def _progression(world: _World) -> dict[str, float]:
    """Return the log hazard ratio of a complementary log-log model of expected risks in the quarter after."""
    from bipstudy.analyses.progression import CHANGE, primary_sample

    frame, terms = primary_sample(world.study)
    slopes = fractional_fit(_matrix(frame, [CHANGE, *terms]), world.after(frame, 3 + 30 * 3 / QUARTER_DAYS), "cloglog")
    return {"progression.change_per_sd": float(slopes[1])}


def _quarters(world: _World, frame: pd.DataFrame) -> Floats:
    """Return the probabilities of the quarters of episodes, each taken whole and without competing events."""
    begin = frame["start"].to_numpy(dtype=np.float64)
    return world.risks(frame, begin, begin + QUARTER_DAYS, competing=False)


def _late(frame: pd.DataFrame, last: int) -> Floats:
    """Return indicators of the quarters after the first, the late ones together."""
    period = np.minimum(frame["period"].to_numpy(dtype=np.int64), last)
    return np.column_stack([(period == number).astype(np.float64) for number in range(2, last + 1)])


def _continuity(world: _World) -> dict[str, float]:
    """Return the log hazard ratio of a complementary log-log model of expected risks by quarter."""
    from bipstudy.analyses.continuity import primary_sample

    frame, background = primary_sample(world.episodes)
    terms = ["first_change", "months_since_entry", *background]
    matrix = np.column_stack([_matrix(frame, terms), _late(frame, int(frame["period"].max()))])
    slopes = fractional_fit(matrix, _quarters(world, frame), "cloglog")
    return {"continuity.first_change": float(slopes[1])}


def _insights(world: _World) -> dict[str, float]:
    """Return log ratios of standardised 12-month risks, from a joint model of expected risks by quarter."""
    from bipstudy.analyses.insights import primary_sample
    from bipstudy.analyses.insights_risks import COLUMNS, INSIGHTS

    frame, adjustment = primary_sample(world.study, world.episodes)
    terms = [*COLUMNS, *adjustment]
    late = _late(frame, int(frame["period"].max()))
    slopes = fractional_fit(np.column_stack([_matrix(frame, terms), late]), _quarters(world, frame), "cloglog")
    first = _matrix(frame.drop_duplicates("participant"), terms)
    quarter = np.concatenate([[0.0], slopes[1 + len(terms) : 4 + len(terms)]])
    found = {}
    for name, columns in INSIGHTS.items():
        risks = []
        for value in (0.0, 1.0):
            changed = first.copy()
            for column in columns:
                changed[:, 1 + terms.index(column)] = value if column == columns[0] else 0.0
            amount = np.exp(changed @ slopes[: 1 + len(terms)])
            risks.append(float(-np.expm1(-amount * np.exp(quarter).sum()).mean()))
        found[f"insights.{name}"] = float(np.log(risks[1] / risks[0]))
    return found


def _caseworkers(world: _World) -> dict[str, float]:
    """Return the spread of the expected risk of the same participants under each of many caseworkers."""
    paths, rng = world.drawn.paths, np.random.default_rng(0)
    some = rng.choice(np.flatnonzero(paths.running_until == 0), _CLIENTS, replace=False)
    who = rng.permutation(len(paths.cohort.optimism))[:_CASEWORKERS]
    do = Intervention(
        first_optimism=np.repeat(paths.cohort.optimism[who], _CLIENTS),
        first_skill=np.repeat(paths.cohort.skill[who], _CLIENTS),
    )
    count = _CLIENTS * len(who)
    part = paths.take(np.tile(some, len(who)))
    risk = expected_between(part, np.full(count, WASHOUT), np.full(count, YEAR), do)
    under = risk.reshape(len(who), _CLIENTS).mean(axis=1)
    everybody = paths.running_until == 0
    size = paths.cohort.size
    level = expected_between(paths, np.full(size, WASHOUT), np.full(size, YEAR))[everybody].mean()
    # The sample gives the ratios, everybody the level.
    own = expected_between(paths.take(some), np.full(_CLIENTS, WASHOUT), np.full(_CLIENTS, YEAR)).mean()
    return {"caseworkers.sd_true_effects": float(under.std(ddof=1) * level / own)}


def _measurement(world: _World) -> dict[str, float]:
    """Return omega by the analysis itself, and the intraclass correlation by its mean squares."""
    from bipstudy.analyses.measurement import MEANS, primaries, primary_sample

    omega = {
        f"measurement.{label.contrast}": number.estimate
        for label, number in primaries(world.study)
        if label.contrast != "icc_between"
    }
    first, _ = primary_sample(world.study)
    pairs = first[[*MEANS]].dropna().to_numpy(dtype=np.float64)
    rows, columns = pairs.mean(axis=1), pairs.mean(axis=0)
    n, whole = len(pairs), float(pairs.mean())
    between = 2.0 * float(((rows - whole) ** 2).sum()) / (n - 1)
    raters = n * float(((columns - whole) ** 2).sum())
    rest = float(((pairs - rows[:, None] - columns[None, :] + whole) ** 2).sum()) / (n - 1)
    return {**omega, "measurement.icc_between": (between - rest) / (between + rest + 2.0 * (raters - rest) / n)}


PARTS: dict[str, Callable[[_World], dict[str, float]]] = {
    "participants": _shares,
    "transitions": _transitions,
    "indicators": _indicators,
    "belief": _belief,
    "continuity": _continuity,
    "activities": _activities,
    "progression": _progression,
    "insights": _insights,
    "caseworkers": _caseworkers,
    "measurement": _measurement,
}


# What is tried where an assumption is another one.
VARIED_PARTS = ["belief", "continuity", "insights", "caseworkers"]


def compute(
    given: Scenario,
    *,
    parts: Iterable[str] = tuple(PARTS),
    draws: int = DRAWS,
    participants: int = PARTICIPANTS,
    seed: int = SEED,
) -> dict[str, Truth]:
    """Compute the truths of a scenario.

    Parameters
    ----------
    given : Scenario
    parts : iterable of str
        Analyses.
    draws, participants : int
        Studies drawn, at least two, and their size.
    seed : int

    Returns
    -------
    dict of str to Truth
        By name of the estimand: the mean over draws, with the error of that mean.

    Examples
    --------
    >>> found = compute(world("tiny"), parts=["transitions"], draws=2, participants=200)
    >>> list(found)
    ['transitions.everyone']
    """
    wanted = [*parts]
    found = [_once(given, wanted, participants, child) for child in np.random.SeedSequence(seed).spawn(draws)]
    return {
        name: Truth(
            float(np.mean([each[name] for each in found])),
            float(np.std([each[name] for each in found], ddof=1) / np.sqrt(draws)),
        )
        for name in found[0]
    }


def _once(given: Scenario, parts: list[str], participants: int, seed: np.random.SeedSequence) -> dict[str, float]:
    """Return the truths of one draw."""
    world = _World(given, participants, seed)
    return {name: value for part in parts for name, value in PARTS[part](world).items()}


def read(name: str, path: Path = FILE) -> dict[str, Any]:
    """Return what is stored of a scenario.

    Parameters
    ----------
    name : str
    path : Path

    Returns
    -------
    dict
        ``scenario_hash, draws, participants, seed, truths`` (dict of str to `Truth`).

    Examples
    --------
    >>> read("danish_twin")["scenario_hash"] == world("danish_twin").hash
    True
    """
    stored: dict[str, Any] = read_yaml(path)[name]
    truths = {key: Truth(float(value), float(error)) for key, (value, error) in stored["truths"].items()}
    return {**stored, "truths": truths}


def write(name: str, truths: dict[str, Truth], path: Path = FILE, **settings: int) -> None:
    """Write the truths of a scenario beside those of others.

    Parameters
    ----------
    name : str
    truths : dict of str to Truth
    path : Path
    **settings : int
        ``draws, participants, seed``.
    """
    import yaml

    content = read_yaml(path) if path.is_file() else {}
    content[name] = {
        "scenario_hash": world(name).hash,
        **settings,
        "truths": {key: [round(truth.value, 6), round(truth.error, 6)] for key, truth in truths.items()},
    }
    head = (
        "# Truth and Monte Carlo error of each primary estimand, ratios as logarithms. Not written by hand:\n"
        "# python -m bipstudy.certification.truths danish_twin\n"
    )
    body = yaml.safe_dump(content, sort_keys=False, default_flow_style=None)
    path.write_text(head + body, encoding="utf-8", newline="\n")


def _main(names: list[str]) -> None:
    """Compute and write the truths of the scenarios named."""
    for name in names or ["danish_twin"]:
        parts = [*PARTS] if name == "danish_twin" else VARIED_PARTS
        truths = compute(world(name), parts=parts, draws=DRAWS, participants=PARTICIPANTS, seed=SEED)
        write(name, truths, draws=DRAWS, participants=PARTICIPANTS, seed=SEED)


if __name__ == "__main__":
    _main(sys.argv[1:])
