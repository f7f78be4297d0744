"""Combinations of values are told apart however many values there are."""

import math

import numpy as np
import pandas as pd

from bipstudy.validation import data as module
from bipstudy.validation.data import Data


def of(**frames):
    """Return frames as rules see them."""
    return Data({name: pd.DataFrame(columns) for name, columns in frames.items()}, frozenset(frames), {}, {})


def test_more_combinations_than_a_whole_number_holds():
    rng = np.random.default_rng(1)
    size = 70_000
    # 70,000 ** 4 is more than 2 ** 64: multiplied out, numbers would wrap round and meet.
    columns = {name: [f"{name}{each}" for each in rng.permutation(size)] for name in "abcd"}
    again = {name: [*values[:3], values[0]] for name, values in columns.items()}
    again["d"] = [*again["d"][:3], columns["d"][1]]
    data = of(forms=columns, others=again)
    assert math.prod(data._numbered(name)[1] for name in "abcd") > 2**64
    forms, others = (data.groups(name, tuple("abcd")) for name in ("forms", "others"))
    assert len(set(forms.tolist())) == size
    assert others[:3].tolist() == forms[:3].tolist()
    assert others[3] not in set(forms.tolist())


def test_both_ways_of_numbering_agree(monkeypatch):
    rng = np.random.default_rng(2)
    columns = {name: rng.choice(["x", "y", "z", None], 300) for name in "abc"}
    other = {name: rng.choice(["x", "z", "v"], 40) for name in "abc"}
    plain = [of(one=columns, two=other).groups(name, tuple("abc")) for name in ("one", "two")]
    monkeypatch.setattr(module, "_MOST", 30)
    packed = [of(one=columns, two=other).groups(name, tuple("abc")) for name in ("one", "two")]
    left, right = np.concatenate(plain), np.concatenate(packed)
    assert ((left < 0) == (right < 0)).all()
    assert (
        len(set(zip(left.tolist(), right.tolist(), strict=True))) == len(set(left.tolist())) == len(set(right.tolist()))
    )
