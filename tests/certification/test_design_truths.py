"""The truth of each design, computed without the estimators that it tries: by definition or by another library."""

import warnings

import numpy as np
import pandas as pd
import pytest
from scipy import optimize, stats

from bipstudy.certification import designs
from bipstudy.certification import groups as group_room
from bipstudy.certification import linear as linear_room
from bipstudy.certification.binary import LEVELS
from bipstudy.certification.design import stable_frailty

DESIGNS = {design.name: design for design in designs()}
DRAWS = 30


def stacked(name, draws=DRAWS):
    """Many draws of one design in one frame; ids of persons and groups are kept apart."""
    frames = []
    for number, seed in enumerate(np.random.SeedSequence(99).spawn(draws)):
        frame = DESIGNS[name].draw(np.random.default_rng(seed))
        for column in ("person", "cluster", "group", "worker", "quarter"):
            if column in frame:
                frame[column] = frame[column] + 10_000 * number
        frames.append(frame)
    return pd.concat(frames, ignore_index=True)


def partial_likelihood(frame, names):
    """Cox regression by its definition, every risk set formed anew."""
    x, stop = frame[names].to_numpy(float), frame["time"].to_numpy()
    start = frame["start"].to_numpy() if "start" in frame else np.zeros(len(frame))
    events = np.flatnonzero(frame["cause"] == 1)
    at_risk = [np.flatnonzero((start < stop[event]) & (stop >= stop[event])) for event in events]

    def minus(beta):
        eta = x @ beta
        return -sum(eta[e] - np.log(np.exp(eta[rows]).sum()) for e, rows in zip(events, at_risk, strict=True))

    return optimize.minimize(minus, np.zeros(len(names)), method="BFGS").x[0]


def regression(frame, names, link, response="y"):
    import statsmodels.api as sm

    matrix = [frame[names].to_numpy(float), np.ones((len(frame), 1))]
    if "period" in frame:
        matrix.append(pd.get_dummies(frame["period"], drop_first=True).to_numpy(float))
    family = sm.families.Binomial(getattr(sm.families.links, link)())
    return sm.GLM(frame[response].to_numpy(float), np.hstack(matrix), family=family).fit().params[0]


def least_squares(frame, names, response="y"):
    matrix = np.column_stack([frame[names].to_numpy(float), np.ones(len(frame))])
    return np.linalg.lstsq(matrix, frame[response].to_numpy(float), rcond=None)[0][0]


def within(frame, response, *columns):
    """Slope after means are taken out; panels are balanced, so one pass per column is exact."""
    y, x = frame[response], frame["x"]
    for column in columns:
        y, x = y - y.groupby(frame[column]).transform("mean"), x - x.groupby(frame[column]).transform("mean")
    return float((x * y).sum() / (x * x).sum())


def frailty_slope():
    """Log of the cumulative hazard averaged over the frailty, at two values of x."""
    draws = stable_frailty(400_000, 0.8, np.random.default_rng(3))
    low, high = (np.log(-np.log(np.exp(-0.5 * draws * np.exp(0.6 * x)).mean())) for x in (0.0, 1.0))
    return high - low


def early_incidence():
    """Nobody is censored before 0.5, so the incidence at 0.4 is a plain share."""
    frame = stacked("fine_gray", 50)
    return regression(frame.assign(y=(frame["time"] <= 0.4) & (frame["cause"] == 1)), ["x"], "CLogLog")


def early_share(name, time, causes=(1,)):
    """Product of survival over fine intervals, by counting."""
    frame = stacked(name, 40)
    alive, incidence = 1.0, 0.0
    for low, high in zip(np.linspace(0, time, 400)[:-1], np.linspace(0, time, 400)[1:], strict=True):
        risk = (frame["time"] > low).sum()
        now = frame[(frame["time"] > low) & (frame["time"] <= high)]
        incidence += alive * now["cause"].isin(causes).sum() / risk
        alive *= 1 - (now["cause"] > 0).sum() / risk
    return incidence


def by_cells(frame, contrast):
    """Risks in the cells of exposure and background, weighted by the background."""
    share = frame.groupby("c").size() / len(frame)
    risk = frame.groupby(["a", "c"])["y"].mean().unstack("c")
    low, high = (risk * share).sum(axis=1)
    return contrast(low, high)


def ever_in_three_periods():
    frame = stacked("hazard_difference", 60)
    persons = frame.groupby("person").agg(y=("y", "max"), a=("a", "first"), c=("c", "first")).reset_index()
    return by_cells(persons, lambda low, high: high - low)


def multinomial():
    import statsmodels.api as sm

    frame = stacked("competing_hazards")
    matrix = np.column_stack([frame["x"], np.ones(len(frame)), frame["period"] == 2]).astype(float)
    return sm.MNLogit(frame["cause"].to_numpy(), matrix).fit(disp=0).params[0][0]


def instrumented(names):
    frame = stacked("iv_2sls")
    outside = np.column_stack([frame["w"], np.ones(len(frame))])
    y, d, *z = (
        column - outside @ np.linalg.lstsq(outside, column, rcond=None)[0]
        for column in frame[["y", "d", *names]].to_numpy().T
    )
    fitted = np.column_stack(z) @ np.linalg.lstsq(np.column_stack(z), d, rcond=None)[0]
    return fitted @ y / (fitted @ d)


def left_out_means():
    frame = stacked("iv_ujive", 60)
    cell = frame.groupby("worker")["d"]
    instrument = (cell.transform("sum") - frame["d"]) / (cell.transform("size") - 1)
    instrument = instrument - instrument.mean()
    return (instrument * frame["y"]).sum() / (instrument * frame["d"]).sum()


def analysis_of_variance(name, column, slope, draws=30):
    frame = stacked(name, draws)
    residual = frame["y"] - (slope * frame["x"] if "x" in frame else 0)
    groups = residual.groupby(frame[column])
    size = groups.size().iloc[0]
    return np.sqrt(groups.mean().var() - groups.var().mean() / size)


def conditional():
    from statsmodels.discrete.conditional_models import ConditionalLogit

    frame = stacked("intercept_logit", 4)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # groups without variation are dropped with a warning
        return ConditionalLogit(frame["y"], frame[["x"]], groups=frame["group"]).fit(disp=0).params["x"]


def share_of_truth():
    workers = stacked("worker_reliability", 60).groupby("worker").agg(mean=("y", "mean"), effect=("effect", "first"))
    return np.corrcoef(workers["mean"], workers["effect"])[0, 1] ** 2


# Name -> (the truth computed another way, draws that it rests on). The tolerance is four standard errors.
OTHERS = {
    "cox": (lambda: partial_likelihood(stacked("cox", 4), ["x", "z"]), 4),
    "cox_clustered": (frailty_slope, 200),
    "cox_start_stop": (lambda: partial_likelihood(stacked("cox_start_stop", 3), ["x", "z"]), 3),
    "kaplan_meier": (lambda: 1 - early_share("kaplan_meier", 0.8), 40),
    "cumulative_incidence": (lambda: early_share("cumulative_incidence", 0.6), 40),
    # At 0.4 there are fewer events than in the whole follow-up, so the tolerance counts fewer draws.
    "fine_gray": (early_incidence, 20),
    "hazard_cloglog": (lambda: regression(stacked("hazard_cloglog"), ["x"], "CLogLog"), DRAWS),
    "hazard_logit": (lambda: regression(stacked("hazard_logit"), ["x"], "Logit"), DRAWS),
    "hazard_clustered": (lambda: regression(stacked("hazard_clustered", 100), ["x"], "CLogLog"), 100),
    "hazard_two_way": (lambda: regression(stacked("hazard_two_way", 10), ["x"], "Logit"), 10),
    "competing_hazards": (multinomial, DRAWS),
    "risk_difference": (lambda: by_cells(stacked("risk_difference", 60), lambda low, high: high - low), 60),
    "risk_ratio": (lambda: by_cells(stacked("risk_ratio", 60), lambda low, high: np.log(high / low)), 60),
    "hazard_difference": (ever_in_three_periods, 60),
    "cluster_bootstrap": (lambda: regression(stacked("cluster_bootstrap", 60), ["x"], "Logit"), 60),
    "linear": (lambda: least_squares(stacked("linear"), ["x", "z"]), DRAWS),
    "linear_binary": (lambda: least_squares(stacked("linear_binary"), ["x"]), DRAWS),
    "linear_clustered": (lambda: least_squares(stacked("linear_clustered"), ["x"]), DRAWS),
    "linear_one_absorbed": (lambda: within(stacked("linear_one_absorbed"), "one", "person"), DRAWS),
    "linear_two_absorbed": (lambda: within(stacked("linear_two_absorbed"), "two", "person", "quarter"), DRAWS),
    "few_clusters": (lambda: least_squares(stacked("few_clusters", 200), ["x"]), 200),
    "wild_bootstrap": (lambda: least_squares(stacked("wild_bootstrap", 100), ["x"]), 100),
    "iv_2sls": (lambda: instrumented(["z1"]), DRAWS),
    "iv_liml": (lambda: instrumented(["z1", "z2", "z3"]), DRAWS),
    "iv_ujive": (left_out_means, 60),
    # The comparison within groups is less precise than the estimator; the tolerance counts fewer draws.
    "intercept_slope": (lambda: within(stacked("intercept_slope"), "y", "group"), DRAWS // 2),
    "intercept_spread": (lambda: analysis_of_variance("intercept_spread", "group", 0.5), 30),
    "intercept_logit": (conditional, 2),
    "worker_spread": (lambda: analysis_of_variance("worker_spread", "worker", 0), 30),
    "worker_split": (lambda: analysis_of_variance("worker_split", "worker", 0), 30),
    "worker_reliability": (share_of_truth, 60),
    "imputation": (lambda: least_squares(stacked("imputation"), ["whole", "z"]), DRAWS),
    "censoring_weights": (lambda: stacked("censoring_weights").query("period == 1")["y"].mean(), DRAWS),
}


def test_every_truth_is_computed_another_way():
    # What is left is a deviation from a truth that the draw itself holds.
    assert set(DESIGNS) - set(OTHERS) == {"worker_effect", "worker_far_out"}
    assert all(DESIGNS[name].truth == 0 for name in set(DESIGNS) - set(OTHERS))


@pytest.mark.parametrize("name", OTHERS)
def test_the_truth_is_what_another_computation_gives(name):
    design = DESIGNS[name]
    compute, draws = OTHERS[name]
    tries = [design.estimate(design.draw(np.random.default_rng(seed)))[:2] for seed in range(4)]
    error = np.mean([error for _, error in tries])
    if np.isnan(error):
        error = np.std([estimate for estimate, _ in tries], ddof=1)
    assert compute() == pytest.approx(design.truth, abs=4 * error / np.sqrt(draws))


def test_frailty_of_the_grouped_hazard_gives_the_index_times_the_coefficient():
    draws = stable_frailty(400_000, 0.75, np.random.default_rng(4))
    survived = [np.exp(-draws * np.exp(LEVELS[0] + 0.6 * x)).mean() for x in (0.0, 1.0)]
    slope = np.diff(np.log(-np.log(survived))).item()
    # The draws leave an error of about 0.002.
    assert slope == pytest.approx(DESIGNS["hazard_clustered"].truth, abs=0.008)


def test_coverage_with_few_clusters_by_drawing_cluster_means():
    rng, draws, count = np.random.default_rng(5), 400_000, linear_room.FEW
    means = rng.normal(size=(draws, count)) * np.sqrt(1 + 1 / linear_room.FEW_ROWS)
    odd, even = means[:, 1::2], means[:, ::2]
    spread = sum(((half - half.mean(axis=1, keepdims=True)) ** 2).sum(axis=1) for half in (odd, even))
    rows = count * linear_room.FEW_ROWS
    factor = count / (count - 1) * (rows - 1) / (rows - 2)
    statistic = (odd.mean(axis=1) - even.mean(axis=1)) / np.sqrt(factor * spread / (count / 2) ** 2)
    covered = (np.abs(statistic) <= stats.t.ppf(0.975, count - 1)).mean()
    # Four Monte Carlo errors.
    assert covered == pytest.approx(DESIGNS["few_clusters"].coverage, abs=0.0017)


def test_bias_and_coverage_of_a_shrunken_effect_far_out_by_drawing_means():
    rng, truth = np.random.default_rng(6), group_room.FAR * group_room.TRUE_SPREAD
    mean = truth + rng.normal(size=400_000) / np.sqrt(group_room.CASES)
    precision = 1 / group_room.TRUE_SPREAD**2 + group_room.CASES
    posterior, half = group_room.CASES * mean / precision, 1.959964 / np.sqrt(precision)
    design = DESIGNS["worker_far_out"]
    # Four Monte Carlo errors.
    assert (posterior - truth).mean() == pytest.approx(design.bias, abs=0.0015)
    assert (np.abs(posterior - truth) <= half).mean() == pytest.approx(design.coverage, abs=0.002)


def test_coverage_of_weights_taken_as_known_by_drawing_cells():
    # With a saturated model of loss the estimate is the mean of two cell means, weighted by the cells' sizes.
    rng, draws, n = np.random.default_rng(7), 20_000, 4_000
    ones = rng.binomial(n, 0.5, draws)
    estimates, claims = np.zeros(draws), np.zeros(draws)
    for value, size in ((0, n - ones), (1, ones)):
        kept = rng.binomial(size, group_room.STAY[value] ** 2)
        mean = value + rng.normal(size=draws) / np.sqrt(kept)
        estimates += size / n * mean
        claims += (size / n) ** 2 / kept * (1 + (value - 0.5) ** 2)
    ratio = np.sqrt(claims.mean()) / estimates.std()
    covered = 2 * stats.norm.cdf(1.959964 * ratio) - 1
    # The standard deviation of 20,000 draws is known to half a per cent, which moves the coverage by 0.001.
    assert covered == pytest.approx(DESIGNS["censoring_weights"].coverage, abs=0.003)
