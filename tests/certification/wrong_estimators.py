"""Estimators with a known fault, of a mean; importable, so that processes can share them."""

import numpy as np

from bipstudy.certification import Design


def draw(rng):
    return rng.normal(1.0, 1.0, 50)


def right(sample):
    error = sample.std(ddof=1) / np.sqrt(len(sample))
    # 2.0096 is the quantile of t with 49 degrees of freedom.
    return sample.mean(), error, sample.mean() - 2.0096 * error, sample.mean() + 2.0096 * error


def halved(sample):
    mean, error, _, _ = right(sample)
    return mean, error / 2, mean - 2.0096 * error / 2, mean + 2.0096 * error / 2


def doubled(sample):
    mean, error, _, _ = right(sample)
    return mean, error * 2, mean - 2.0096 * error * 2, mean + 2.0096 * error * 2


def shifted(sample):
    mean, error, low, high = right(sample)
    return mean + 0.5 * error, error, low + 0.5 * error, high + 0.5 * error


def failing_at_times(sample):
    if sample[0] < -0.5:
        raise ValueError("no answer")
    return right(sample)


def without_interval(sample):
    return sample.mean(), np.nan, np.nan, np.nan


def shifted_without_interval(sample):
    return sample.mean() + 0.1, np.nan, np.nan, np.nan


def design(estimate, **more):
    # A name of the catalogue, so that a page can be written.
    return Design(**{"name": "linear", "estimator": "mean", "draw": draw, "estimate": estimate, "truth": 1.0, **more})
