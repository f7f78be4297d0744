"""One stream of random numbers per component, so that changing one component does not shift the others."""

from __future__ import annotations

import numpy as np

# A new component goes last: the position in this list is the key of its stream.
COMPONENTS = (
    "people",
    "background",
    "caseworkers",
    "assignment",
    "changes",
    "activities",
    "progression",
    "organisations",
    "transitions",
    "exits",
    "occasions",
    "forms",
    "belief",
    "participant_items",
    "caseworker_items",
    "missing",
    "spells",
    "registers",
    "second_caseworkers",
    "trainings",
    "contrasts",
)


def streams(seed: int | np.random.SeedSequence) -> dict[str, np.random.Generator]:
    """Return a generator for every component.

    Parameters
    ----------
    seed : int or SeedSequence
        Seed of the whole study.

    Returns
    -------
    dict of str to Generator
        By the names of `COMPONENTS`.
    """
    root = seed if isinstance(seed, np.random.SeedSequence) else np.random.SeedSequence(seed)
    # Spawning from a fresh copy: a SeedSequence counts its children, and the same seed must give the same study twice.
    fresh = np.random.SeedSequence(root.entropy, spawn_key=root.spawn_key)
    return {
        name: np.random.Generator(np.random.SFC64(child))
        for name, child in zip(COMPONENTS, fresh.spawn(len(COMPONENTS)), strict=True)
    }
