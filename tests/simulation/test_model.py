"""The causal model: hazards, potential outcomes, answers, and the truth that is returned."""

from __future__ import annotations

import numpy as np
import pytest

import bipstudy as bip
from bipstudy.simulation import scenario
from bipstudy.simulation.calibration import TARGETS
from bipstudy.simulation.cohort import overall
from bipstudy.simulation.events import Intervention, concave, draw_transitions, expected_risks, pieces
from bipstudy.simulation.readings import first_answers
from bipstudy.simulation.streams import streams
from bipstudy.simulation.study import draw
from bipstudy.simulation.truth import marginal_change_ratio

PERSON = ["organisation_id", "participant_id"]


def drawn(name, participants=4000, seed=4, **changes):
    return draw(scenario(name).replace(**changes), participants, streams(seed))


@pytest.fixture(scope="module")
def twin():
    return drawn("danish_twin")


def hazards(paths, do=None, quarters=6):
    return [(piece.length, piece.work, piece.study) for piece in pieces(paths, quarters, do)]


def test_the_hazard_is_the_product_of_its_factors(twin):
    """A second reading of the equation of the documentation, one participant and quarter at a time."""
    paths, given = twin.paths, twin.scenario
    cohort, changes = paths.cohort, paths.changes
    every = list(pieces(paths, 5))
    for person in range(0, 4000, 397):
        changed = False
        for quarter in range(5):
            moment = float(changes.moment[person, quarter])
            x = np.sqrt(0.7) * (cohort.readiness[person] + float(paths.progress[person, quarter])) + np.sqrt(
                0.3
            ) * float(cohort.private[person])
            readiness = (1 - np.exp(-given.events.concavity * x)) / given.events.concavity
            for part in (0, 1):
                caseworker = changes.caseworker[person, quarter + part]
                changed = changed or (part == 1 and moment < 1)
                expected = (
                    given.events.work_rate
                    * np.exp(given.events.readiness_work * readiness)
                    * np.exp(given.events.optimism_work * cohort.optimism[caseworker])
                    * np.exp(given.caseworkers.skill_sd * cohort.skill[caseworker])
                    * (0.78 if changed else 1.0)
                    * np.exp(cohort.organisation_effect[cohort.organisation[person]])
                    * np.exp(given.events.entry_quarter_effects[cohort.entry_quarter[person]])
                    * (paths.running_until[person] <= quarter)
                )
                piece = every[2 * quarter + part]
                assert piece.work[person] == pytest.approx(expected, rel=1e-9)
                assert piece.length[person] == pytest.approx(moment if part == 0 else 1 - moment)


def test_expected_risks_are_the_shares_of_many_drawn_events():
    """With no competing exits; the standard error of a share of 0.09 over 40 draws of 4,000 is 0.0007."""
    exits = {f"exits__{name}": 0.0 for name in ("died_rate", "retired_rate", "sickness_benefit_rate")}
    twin = drawn("danish_twin", **exits)
    risks = expected_risks(twin.paths, 12)
    shares = []
    for child in np.random.SeedSequence(8).spawn(40):
        events = draw_transitions(twin.paths, 4, np.random.default_rng(child))
        shares.append([((events.time < 4) & (events.cause == cause)).mean() for cause in (1, 2)])
    work, study = np.mean(shares, axis=0)
    assert work == pytest.approx(risks.work.mean(), abs=4 * np.sqrt(0.06 * 0.94 / 160_000))
    assert study == pytest.approx(risks.study.mean(), abs=4 * np.sqrt(0.035 * 0.965 / 160_000))


def test_event_times_within_a_quarter_follow_the_pieces(twin):
    """The integrated hazard at the drawn time is standard exponential: 95 % below 3.0, mean of the truncated one."""
    events = draw_transitions(twin.paths, 16, np.random.default_rng(3))
    integrated = np.zeros(twin.cohort.size)
    whole = np.zeros(twin.cohort.size)
    for piece in pieces(twin.paths, 16):
        begins = piece.quarter + piece.begins
        spent = np.clip(events.time - begins, 0, piece.length)
        integrated += spent * (piece.work + piece.study)
        whole += piece.length * (piece.work + piece.study)
    happened = np.isfinite(events.time)
    # Conditional on an event before the end, 1 - exp(-H) is uniform on (0, 1 - exp(-H(end))).
    uniform = np.sort(-np.expm1(-integrated[happened]) / -np.expm1(-whole[happened]))
    distance = np.abs(uniform - (np.arange(len(uniform)) + 0.5) / len(uniform)).max()
    # Kolmogorov-Smirnov at one in ten thousand.
    assert distance < 2.23 / np.sqrt(len(uniform))


def test_optimism_acts_by_its_coefficient_as_long_as_the_first_caseworker_stays(twin):
    low, high = (
        Intervention(first_optimism=np.full(twin.cohort.size, value), first_skill=np.zeros(twin.cohort.size))
        for value in (0.0, 1.0)
    )
    changed = np.zeros(twin.cohort.size, dtype=bool)
    pairs = zip(pieces(twin.paths, 6, low), pieces(twin.paths, 6, high), strict=True)
    for number, (before, after) in enumerate(pairs):
        if number % 2:
            changed |= twin.changes.moment[:, number // 2] < 1
        at_risk = before.work > 0
        ratio = after.work[at_risk] / before.work[at_risk]
        expected = np.where(changed, 1.0, np.exp(twin.scenario.events.optimism_work))[at_risk]
        np.testing.assert_allclose(ratio, expected, rtol=1e-12)


def test_belief_is_without_effect_in_selection_only():
    """The same people, the same random numbers, other caseworkers: the same transitions, to the last digit."""
    only = drawn("selection_only")
    times = [
        draw_transitions(only.paths, 16, np.random.default_rng(1), Intervention(first_optimism=np.full(4000, value)))
        for value in (-2.0, 2.0)
    ]
    np.testing.assert_array_equal(times[0].time, times[1].time)
    np.testing.assert_array_equal(times[0].cause, times[1].cause)
    idle = draw_transitions(only.paths, 16, np.random.default_rng(1), Intervention(changed=False))
    np.testing.assert_array_equal(times[0].time, idle.time)
    answers = first_answers(only.paths, np.random.default_rng(2))
    risks = expected_risks(only.paths, 12).work
    assert risks[answers >= 4].mean() > 8 * risks[answers <= 2].mean()


def test_in_the_twin_they_are_not_the_same(twin):
    times = [
        draw_transitions(twin.paths, 16, np.random.default_rng(1), Intervention(first_optimism=np.full(4000, value)))
        for value in (-2.0, 2.0)
    ]
    assert (times[1].time <= times[0].time)[twin.changes.moment.min(axis=1) == 1].all()
    assert (times[1].time < times[0].time).mean() > 0.05


def test_nothing_acts_in_null():
    none = drawn("null")
    for length, work, study in hazards(none.paths, quarters=16):
        at_risk = (work > 0) & (length > 0)
        assert np.ptp(work[at_risk]) < 1e-15
        assert np.ptp(study[at_risk]) < 1e-15
    # Activities, progression and dropout have nothing to do with anybody either: correlations within 4 / sqrt(4000).
    taken = np.bincount(none.activities.person, minlength=4000)
    for trait in (none.cohort.readiness, none.cohort.health, none.cohort.optimism[none.cohort.first_caseworker]):
        assert abs(np.corrcoef(trait, taken)[0, 1]) < 4 / np.sqrt(4000)
        assert abs(np.corrcoef(trait, none.paths.progress[:, -1])[0, 1]) < 4 / np.sqrt(4000)
    assert abs(np.corrcoef(taken, none.paths.progress[:, -1])[0, 1]) < 4 / np.sqrt(4000)


@pytest.mark.parametrize(("sorting", "name"), [(0.0, "danish_twin"), (0.25, "sorted"), (0.6, "sorted")])
def test_sorting_is_the_correlation_of_optimism_with_what_participants_are_like(sorting, name):
    """Within unit and quarter of entry; the standard error of a correlation of 20,000 is 0.007."""
    sorted_ = drawn(name, 20_000, caseworkers__sorting=sorting)
    x = overall(sorted_.scenario, sorted_.cohort)
    optimism = sorted_.cohort.optimism[sorted_.cohort.first_caseworker]
    assert np.corrcoef(x, optimism)[0, 1] == pytest.approx(sorting, abs=0.03)


def test_first_caseworkers_are_of_the_participants_unit_and_there(twin):
    cohort = twin.cohort
    np.testing.assert_array_equal(cohort.caseworker_unit[cohort.first_caseworker], cohort.unit)
    assert (cohort.departure[cohort.first_caseworker] > cohort.first).all()
    followers = twin.changes.caseworker
    for quarter in range(followers.shape[1]):
        np.testing.assert_array_equal(cohort.caseworker_unit[followers[:, quarter]], cohort.unit)
    changed = twin.changes.moment < 1
    np.testing.assert_array_equal(followers[:, 1:] != followers[:, :-1], changed)


def test_caseworkers_who_left_have_no_clients(twin):
    cohort, changes = twin.cohort, twin.changes
    days = cohort.first[:, None] + np.arange(17) * 365.25 / 4
    assert (cohort.departure[changes.caseworker] > days - 1).all()


def test_progression_answers_to_activities_as_the_parameters_say():
    quiet = {"noise_sd": 0.0, "drift": -0.1, "job": 0.3, "job_parallel": 0.8, "study": 0.2, "other": 0.0}
    twin = drawn("danish_twin", 2000, **{f"progression__{name}": value for name, value in quiet.items()})
    steps = np.diff(twin.paths.progress, axis=1)
    busy = np.zeros(steps.shape, dtype=bool)
    for person, start, length in zip(
        twin.activities.person, twin.activities.start, twin.activities.length, strict=True
    ):
        busy[person, int(start) : int(np.floor(start + length)) + 1] = True
    np.testing.assert_allclose(steps[~busy], -0.1, atol=1e-6)
    assert steps[busy].min() >= -0.1 - 1e-6
    assert steps.max() <= -0.1 + 0.8 + 0.2 + 1e-6
    assert steps[busy].max() > 0.5


def test_the_signs_of_activities_are_the_published_ones():
    """Mean progression of quarters that one kind fills; noise of 0.12 over thousands of quarters, 0.005 at most."""
    twin = drawn("danish_twin", 30_000)
    steps = np.diff(twin.paths.progress, axis=1)
    # Focus: 0 job, 1 study, 2 to 4 skills, health and social. A quarter is filled by activities that span it.
    filled = np.zeros((5, *steps.shape), dtype=bool)
    touched = np.zeros((5, *steps.shape), dtype=bool)
    acts = twin.activities
    for offset in range(6):
        quarter = acts.start.astype(int) + offset
        inside = (quarter < steps.shape[1]) & (acts.start + acts.length > quarter)
        whole = inside & (acts.start <= quarter) & (acts.start + acts.length >= quarter + 1)
        touched[acts.focus[inside], acts.person[inside], quarter[inside]] = True
        filled[acts.focus[whole], acts.person[whole], quarter[whole]] = True
    job, other = filled[0], filled[2:].any(axis=0)
    alone_job = job & ~touched[1:].any(axis=0)
    alone_other = other & ~touched[:2].any(axis=0)
    none = ~touched.any(axis=0)
    both = job & other & ~touched[1]
    assert min(rows.sum() for rows in (none, alone_job, alone_other, both)) > 500
    assert steps[none].mean() == pytest.approx(-0.02, abs=0.003)
    assert steps[alone_other].mean() == pytest.approx(0.0, abs=0.01)
    assert steps[alone_job].mean() == pytest.approx(0.10, abs=0.01)
    assert steps[both].mean() > steps[alone_job].mean() + 0.05


def test_concave_is_the_identity_without_concavity_and_flattens_with_it():
    x = np.linspace(-3, 3, 13)
    np.testing.assert_array_equal(concave(x, 0.0), x)
    np.testing.assert_allclose(concave(x, 1e-8), x, atol=1e-6)
    assert (np.diff(concave(x, 0.4), n=2) < 0).all()


def test_belief_answers_have_the_published_shares_and_the_assumed_make_up():
    big = drawn("danish_twin", 60_000)
    shares = np.bincount(first_answers(big.paths, np.random.default_rng(6)), minlength=6)[1:] / 60_000
    # Clients of one caseworker share the optimism: the variance of a share grows by 1 + 15 x 0.1, about 2.5.
    np.testing.assert_allclose(shares, [0.25, 0.25, 0.24, 0.20, 0.06], atol=4 * np.sqrt(2.5 * 0.25 / 60_000) + 0.002)


def test_items_that_have_nothing_to_do_with_work_are_unrelated_to_what_has():
    study, truth = bip.simulate_study(participants=8000, seed=12)
    people = study.participants[PERSON].assign(readiness=truth.readiness, risk=truth.risk_any_each)
    forms = study.measurements[study.measurements["occasion"] == 1].merge(people, on=PERSON)
    for respondent in ("participant", "caseworker"):
        own = forms[forms["respondent"] == respondent]
        for item in truth.associated_items:
            values = own[item].astype("float64")
            if values.notna().any():
                assert values.corr(own["readiness"]) > 0.25, item
                assert values.corr(own["risk"]) > 0.1, item
        for item in truth.unassociated_items:
            values = own[item].astype("float64")
            if values.notna().any():
                # Four standard errors, doubled for the caseworker's forms, where optimism is shared by clients.
                bound = 4 / np.sqrt(values.notna().sum()) * (2 if respondent == "caseworker" else 1)
                assert abs(values.corr(own["readiness"])) < bound, item
    assert len(truth.associated_items) == 7
    assert len(truth.associated_items) + len(truth.unassociated_items) == 11


def test_the_truth_is_what_the_tables_hold():
    """The first primary spell of at least 28 days begins on the day on which the model drew the transition."""
    given = scenario("danish_twin").replace(outcomes__month_share=0.0)
    study, truth = bip.simulate_study(participants=3000, seed=2, scenario=given)
    keyed = study.participants.set_index(PERSON)
    primary = ["work_unsubsidised", "work_subsidised", "work_unknown", "self_employment", "study_qualifying"]
    spells = study.outcomes[study.outcomes["status"].isin(primary)].set_index(PERSON)
    length = (spells["end"] - spells["start"]).dt.days + 1
    counted = spells[(length >= 28) | spells["ongoing"]]
    entered = keyed["entered_on"].reindex(counted.index)
    first = counted[counted["start"] > entered].groupby(level=PERSON)["start"].min().reindex(keyed.index)
    forms = study.measurements[study.measurements["form_status"] == "answered"]
    origin = forms[forms["occasion"] == 1].groupby(PERSON)["answered_on"].max().reindex(keyed.index)
    months = ((first - origin).dt.days * 12 / 365.25).to_numpy()
    observed = ((keyed["observed_until"] - origin).dt.days * 12 / 365.25).to_numpy()
    happened = truth.transition_months < observed - 0.1
    assert np.isfinite(months[happened]).all()
    np.testing.assert_allclose(months[happened], truth.transition_months[happened], atol=0.05)
    assert np.isnan(months[~happened]).mean() > 0.99


def test_truth_is_arranged_as_the_tables():
    study, truth = bip.simulate_study(participants=900, seed=2)
    assert len(truth.risk_any_each) == len(study.participants)
    assert len(truth.caseworker_optimism) == len(study.caseworkers)
    # Optimism by the first caseworker's local id is the optimism of the participant's first main caseworker.
    main = study.assignments[study.assignments["responsibility"] == "main"].sort_values([*PERSON, "start"])
    first = main.drop_duplicates(PERSON).set_index(PERSON)["caseworker_id"]
    key = ["organisation_id", "caseworker_id"]
    optimism = study.caseworkers[key].assign(optimism=truth.caseworker_optimism).set_index(key)["optimism"]
    people = study.participants[PERSON].set_index(PERSON).index
    keys = list(zip(people.get_level_values(0), first.reindex(people), strict=True))
    np.testing.assert_array_equal(optimism.reindex(keys), truth.first_optimism)


def test_a_caseworkers_risk_is_that_of_everybody_under_them(twin):
    _, truth = bip.simulate_study(participants=4000, seed=4)
    cohort = twin.cohort
    at_risk = twin.paths.running_until == 0
    for caseworker in (3, 77, 140):
        do = Intervention(
            first_optimism=np.full(4000, cohort.optimism[caseworker]),
            first_skill=np.full(4000, cohort.skill[caseworker]),
        )
        exact = expected_risks(twin.paths, 12, do).any[at_risk].mean()
        # Interpolation on the log scale and a sample of a thousand: three per cent of the risk.
        assert truth.caseworker_risk_any[caseworker] == pytest.approx(exact, rel=0.03)


def test_the_marginal_ratio_of_a_change_is_the_one_of_drawn_events():
    """Events drawn for 40,000: about 8,500, of which a quarter after a change; standard error of the log 0.025."""
    twin = drawn("danish_twin", 40_000)
    events = draw_transitions(twin.paths, 16, np.random.default_rng(5))
    counted, time = np.zeros((2, 16)), np.zeros((2, 16))
    ever = np.zeros(twin.cohort.size, dtype=bool)
    end = (np.datetime64("2016-12-31").astype("datetime64[D]").astype(int) - twin.cohort.first) / (365.25 / 4)
    for number, piece in enumerate(pieces(twin.paths, 16)):
        if number % 2:
            ever |= twin.changes.moment[:, piece.quarter] < 1
        begins = piece.quarter + piece.begins
        until = np.minimum(begins + piece.length, end)
        at_risk = (events.time > begins) & (until > begins) & (piece.work > 0)
        happened = at_risk & (events.time <= until)
        for changed in (0, 1):
            rows = at_risk & (ever == changed)
            counted[changed, piece.quarter] += (happened & rows).sum()
            time[changed, piece.quarter] += (np.minimum(events.time, until) - begins)[rows].sum()
    weight = 1 / time.sum(axis=0)
    drawn_ratio = (counted[1] * time[0] * weight).sum() / (counted[0] * time[1] * weight).sum()
    expected = marginal_change_ratio(twin.paths)
    assert np.log(drawn_ratio) == pytest.approx(np.log(expected), abs=4 * 0.025)
    assert 0.78 < expected < 0.92


@pytest.mark.parametrize("work_only", [False, True])
def test_the_lagged_ratio_of_a_change_is_the_one_of_drawn_events(work_only):
    """Person by person and quarter by quarter, a change dated as an analysis dates it; tolerance as above."""
    twin = drawn("danish_twin", 40_000)
    events = draw_transitions(twin.paths, 16, np.random.default_rng(6))
    happens = twin.changes.moment < 1
    which = happens.argmax(axis=1)
    everyone = np.arange(twin.cohort.size)
    change = np.where(happens.any(axis=1), which + twin.changes.moment[everyone, which], np.inf)
    end = (np.datetime64("2016-12-31").astype("datetime64[D]").astype(int) - twin.cohort.first) / (365.25 / 4)
    wait = 30 / (365.25 / 4)
    above, below = 0.0, 0.0
    for quarter in range(16):
        begins = np.maximum(np.maximum(quarter, wait), twin.paths.running_until)
        until = np.minimum(np.minimum(quarter + 1, end), events.time)
        spent = np.clip(until - begins, 0, None)
        counted = (until == events.time) & (spent > 0) & ((events.cause == 1) | (not work_only))
        changed = change <= quarter - wait
        time = spent[changed].sum(), spent[~changed].sum()
        if min(time) > 0:
            above += counted[changed].sum() * time[1] / sum(time)
            below += counted[~changed].sum() * time[0] / sum(time)
    expected = marginal_change_ratio(twin.paths, washout_days=30, work_only=work_only)
    assert np.log(above / below) == pytest.approx(np.log(expected), abs=4 * 0.03)
    # Dated late, and among those whom readiness sorts more: nearer to no association.
    assert marginal_change_ratio(twin.paths) < expected < 0.92


def test_without_differences_the_marginal_ratio_is_the_one_that_is_set():
    none = drawn("null", 3000, events__change_hazard_ratio=0.6)
    assert marginal_change_ratio(none.paths) == pytest.approx(0.6, abs=1e-12)


def test_every_target_names_a_parameter():
    for name, targets in TARGETS.items():
        assert {target.parameter for target in targets} <= set(scenario(name).parameters())
