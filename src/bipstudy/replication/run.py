"""Runs the analyses of a plan, holds the estimates against the Danish findings and writes it all down."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from bipstudy.analyses import Result
from bipstudy.analyses.estimating import estimates as empty_estimates
from bipstudy.replication.agreement import agreement, agreement_parts
from bipstudy.replication.answering import answered, grouped, universe_of, whole
from bipstudy.replication.benchmarks import Benchmark, read_benchmarks
from bipstudy.replication.birth import birth
from bipstudy.replication.folder import finish, working
from bipstudy.replication.plan import Plan
from bipstudy.replication.plan_reading import read_plan
from bipstudy.replication.registration import Registration, deviations, read_registration
from bipstudy.replication.summaries import bootstrap_table, in_the_roles_of, planned_table
from bipstudy.study import Study
from bipstudy.texts import BipstudyError, default_language, text

if TYPE_CHECKING:
    from bipstudy.report import Document


@dataclass(frozen=True)
class Run:
    """One replication: the results of all analyses and how they agree with the Danish study.

    Attributes
    ----------
    results : mapping of str to Result
        By name of the analysis; those that could not be made are in `skipped`.
    skipped : mapping of str to BipstudyError
        Why an analysis could not be made.
    benchmarks : tuple of Benchmark
    language : {"sv", "en"}
        Language of agreement and report.
    birth : mapping of str to object
        Release, hash of the study and of each table, plan, code, seed and versions.
    size : mapping of str to int
        Participants and organisations.
    plan : Plan
        What was run.
    registration : Registration or None
        The plan as it was registered, if it was.
    multiverse : Multiverse, BipstudyError or None
        All sensible specifications, if the plan wants them; or why they could not be made.
    groups : mapping of str to Result
        The primary estimates by group, by name of the analysis, if the plan wants them.
    """

    results: Mapping[str, Result]
    skipped: Mapping[str, BipstudyError]
    benchmarks: tuple[Benchmark, ...]
    language: str
    birth: Mapping[str, Any]
    size: Mapping[str, int]
    plan: Plan = field(default_factory=Plan)
    registration: Registration | None = None
    multiverse: Any = None
    groups: Mapping[str, Result] = field(default_factory=dict)

    @cached_property
    def estimates(self) -> pd.DataFrame:
        """Every estimate of every analysis, columns as in `bipstudy.analyses.Result`; primary is what the plan says."""
        parts = [result.estimates for result in self.results.values() if len(result.estimates)]
        joined = pd.concat(parts, ignore_index=True) if parts else empty_estimates([])
        return in_the_roles_of(self.plan, joined)

    @cached_property
    def replicates(self) -> dict[str, Any]:
        """Bootstrap replicates of estimates, by analysis and what is estimated."""
        return {f"{name}/{key}": drawn for name, one in self.results.items() for key, drawn in one.replicates.items()}

    @cached_property
    def bootstrap(self) -> pd.DataFrame:
        """Bootstrap errors and percentile intervals, a row for each estimate that has replicates."""
        return bootstrap_table(self.estimates, self.replicates)

    @cached_property
    def agreement(self) -> pd.DataFrame:
        """One row per published Danish finding, see `bipstudy.replication.agreement`."""
        return agreement(
            self.estimates,
            self.benchmarks,
            smallest_effect=self.plan.smallest_effect,
            replicates=self.replicates,
            language=self.language,
        )

    @cached_property
    def agreement_parts(self) -> pd.DataFrame:
        """The single numbers of findings that consist of several."""
        return agreement_parts(self.estimates, self.benchmarks, language=self.language)

    @cached_property
    def planned(self) -> pd.DataFrame:
        """The primary estimates of the plan with what came of them."""
        return planned_table(self.plan, self.estimates, tuple(self.skipped))

    @cached_property
    def deviations(self) -> pd.DataFrame:
        """What was done otherwise than registered: columns ``item, planned, done``."""
        return deviations(self.registration, self.plan, self.birth["release"])

    @cached_property
    def disclosure(self) -> pd.DataFrame:
        """Cells that rest on fewer people than the plan lets leave: columns ``file, row, column, reason``."""
        from bipstudy.replication.outputs import disclosure

        return disclosure(self)

    @cached_property
    def figures(self) -> dict[str, Any]:
        """Every figure, drawn, by ``<analysis>_<name>``."""
        from bipstudy.replication.drawing import draw_figures

        return draw_figures(self)

    def document(self) -> Document:
        """Return the report."""
        from bipstudy.replication.document import compose

        return compose(self)

    def to_html(self) -> str:
        """Return the report as one self-contained page."""
        return self.document().to_html()

    def to_pdf(self) -> bytes:
        """Return the report as PDF.

        Raises
        ------
        BipstudyError
            The extra ``pdf`` is not installed.
        """
        from bipstudy.report.pdf import to_pdf

        return to_pdf(self.document())

    def write(self, out: str | Path, *, pdf: bool = False, n_jobs: int = 1) -> Path:
        """Write estimates, agreement, tables, figures, report, instructions and manifest.

        Parameters
        ----------
        out : str or Path
            Folder; made if it does not exist. Files of an earlier run are replaced, others left alone.
        pdf : bool
            Write the report as PDF too.
        n_jobs : int, default 1
            Processes; the files are the same bytes for any number.

        Returns
        -------
        Path
            The report.
        """
        from bipstudy.replication.packing import pack

        return pack(self, Path(out), pdf=pdf, n_jobs=n_jobs)


def replicate(
    study: Study,
    plan: str | Path | Plan | None = None,
    out: str | Path | None = None,
    *,
    language: str | None = None,
    seed: int | None = None,
    progress: Callable[[str], None] | None = None,
    benchmarks: tuple[Benchmark, ...] | None = None,
    pdf: bool = False,
    registration: Registration | None = None,
    n_jobs: int = 1,
) -> Run:
    """Rerun the Danish analyses on a study and hold the estimates against the Danish findings.

    A run that was stopped is started again with the same call: analyses that were finished are read from `out` if
    study, plan and code are the same, and the files are then the same bytes as those of an uninterrupted run.

    Parameters
    ----------
    study : Study
    plan : str, Path or Plan, optional
        Questions, definitions, primary estimates, bootstrap; the default plan if left out. A file that was registered
        (`bipstudy plan register`) lets the run list every deviation.
    out : str or Path, optional
        Folder to write to; nothing is written if left out.
    language : {"sv", "en"}, optional
        Language of the report.
    seed : int, optional
        In place of the plan's.
    progress : callable, optional
        Called with what is done next: once for each analysis and once for the report.
    benchmarks : tuple of Benchmark, optional
        The published findings of the package if left out.
    pdf : bool
        Write the report as PDF too.
    registration : Registration, optional
        In place of the one beside the plan's file.
    n_jobs : int, default 1
        Processes; the files are the same bytes for any number.

    Returns
    -------
    Run

    Raises
    ------
    BipstudyError
        The plan is wrong, or the folder cannot be written.

    Examples
    --------
    >>> import bipstudy as bip
    >>> from bipstudy.replication import Plan
    >>> run = bip.replicate(bip.load_example(), Plan(questions=("participants",)), language="en")
    >>> run.agreement.columns[:3].tolist()
    ['benchmark', 'danish', 'ours']
    """
    if pdf:
        from bipstudy.report.pdf import check_installed

        check_installed()
    chosen_plan, beside = _plan(plan)
    registration = registration or beside
    if seed is not None:
        chosen_plan = replace(chosen_plan, seed=seed)
    chosen = language or default_language()
    say = progress or (lambda _: None)
    found = read_benchmarks() if benchmarks is None else benchmarks
    facts = birth(study, chosen_plan, registration, found, chosen)
    place: AbstractContextManager[Any] = nullcontext() if out is None else working(Path(out))
    with place as folder:
        everything = answered(study, chosen_plan, chosen, facts, folder, say, n_jobs)
        made = whole(everything)
        results = {name: each for name, each in made.items() if isinstance(each, Result)}
        skipped = {name: each for name, each in made.items() if isinstance(each, BipstudyError)}
        universe = None
        if chosen_plan.multiverse:
            say(text("replication.section_multiverse", chosen))
            universe = universe_of(study, chosen_plan, facts, folder, n_jobs)
        size, groups = _size(study), grouped(everything)
        run = Run(results, skipped, found, chosen, facts, size, chosen_plan, registration, universe, groups)
        say(text("replication.step_report", chosen))
        if out is not None:
            run.write(out, pdf=pdf, n_jobs=n_jobs)
    if out is not None:
        finish(Path(out))
    return run


def _plan(plan: str | Path | Plan | None) -> tuple[Plan, Registration | None]:
    """Return a plan and its registration."""
    if plan is None:
        return Plan(), None
    if isinstance(plan, (str, Path)):
        read = read_plan(plan)
        return read, read_registration(plan)
    if not isinstance(plan, Plan):
        raise BipstudyError("runs.plan_of_other_kind")
    return plan, None if plan.path is None else read_registration(plan.path)


def _size(study: Study) -> dict[str, int]:
    """Return how large the study is."""
    participants = study.participants
    return {"participants": len(participants), "organisations": int(participants["organisation_id"].nunique())}
