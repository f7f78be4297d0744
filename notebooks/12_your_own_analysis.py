# ---
# jupyter:
#   jupytext:
#     formats: ipynb,py:percent
#     text_representation:
#       extension: .py
#       format_name: percent
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Adding your own analysis
#
# The twelve questions are not all that can be asked. This notebook asks another one, and shows the four things that an analysis of ones own needs: an exposure that comes *before* the risk, a comparison of like with like, errors that know who belongs together, and a trial where
# the truth is known.
#
# **The question:** do participants who start an activity within 90 days of the first measurement reach work or study more often in the year that follows than those who do not? (No Danish finding answers to it.)

# %%
import numpy as np
import pandas as pd

import bipstudy as bip
from bipstudy import models

study, truth = bip.simulate_study(participants=3000, seed=1, scenario="danish_twin")

# %% [markdown]
# ## 1. The order of time
#
# Who reaches work after 20 days has had 20 days to start an activity; who does not has had 90. Compared as they are, those who start early would be the ones who *stayed*, which is immortal time. A wash-out of 90 days puts everybody at the same starting line: risk begins 90 days after the
# first measurement, for everyone alike, and who has gone by then is out of the comparison and counted.

# %%
LANDMARK = 90
panel = bip.build_panel(study, outcome="primary", horizon_months=12, washout_days=LANDMARK)
first = panel[panel["first_measurement"]].copy()
pd.DataFrame(panel.attrs["flow"])

# %% [markdown]
# ## 2. The exposure
#
# Local ids mean something only together with the organisation, so that the panel's `participant` is `organisation/local id`.


# %%
def started_early(study: bip.Study, first: pd.DataFrame, days: int) -> pd.Series:
    """Return whether an activity started within so many days after the first measurement, 0 or 1."""
    begun = study.activities.assign(participant=lambda a: a["organisation_id"] + "/" + a["participant_id"])
    both = begun.merge(first[["participant", "answered_on"]], on="participant")
    since = (both["start"] - both["answered_on"]).dt.days
    early = both.loc[since.between(0, days) & both["start_precision"].eq("day"), "participant"]
    return first["participant"].isin(set(early)).astype(float)


first["early"] = started_early(study, first, LANDMARK)
first.groupby("early")[["y"]].agg(["size", "count", "mean"]).round(3)

# %% [markdown]
# An activity known only to the month has no order against the measurement and is not used as earlier; here such a person counts as not started, and the number of them should be reported:

# %%
int((study.activities["start_precision"] != "day").sum())

# %% [markdown]
# ## 3. Like with like
#
# A logit with background and the participant's first answers, weighted for who is followed to the horizon (`ipcw`), standardised over everybody. Errors go together by caseworker.

# %%
ADJUST = ["C(sex)", "C(age_group)", "p_health_coping", "p_job_search", "p_self_belief"]


def risk_ratio(first: pd.DataFrame) -> pd.DataFrame:
    """Return standardised risks, difference and ratio of starting early against not."""
    columns = [
        "y",
        "early",
        "sex",
        "age_group",
        "p_health_coping",
        "p_job_search",
        "p_self_belief",
        "ipcw",
        "caseworker",
    ]
    rows = first.loc[first["y_known"], columns].dropna().assign(y=lambda f: f["y"].astype(float))
    formula = "y ~ early + " + " + ".join(ADJUST)
    fit = models.discrete_hazard(rows, formula, link="logit", weights="ipcw", cluster="caseworker")
    return models.standardised_risk(fit, rows, exposure="early", values=[0.0, 1.0], weights="ipcw").tidy()


risk_ratio(first)

# %% [markdown]
# The rows with a missing answer were dropped here. That is a choice: `models.impute` and `models.pool_estimates` are there for another one.
#
# ## 4. A trial where the truth is known
#
# In the scenario `null` nothing acts on anything: an interval of 95 per cent should miss 1 in one study of twenty. A handful of small studies shows how it is done; use hundreds for an answer.


# %%
def covers_one(seed: int) -> bool:
    """Say whether the interval of the ratio holds 1 in a world without any association."""
    world, _ = bip.simulate_study(participants=800, seed=seed, scenario="null")
    panel = bip.build_panel(world, outcome="primary", horizon_months=12, washout_days=LANDMARK)
    rows = panel[panel["first_measurement"]].copy()
    rows["early"] = started_early(world, rows, LANDMARK)
    found = risk_ratio(rows).set_index("term")
    ratio = found[found.index.str.startswith("ratio")].iloc[0]
    return bool(ratio["conf_low"] <= 1 <= ratio["conf_high"])


np.mean([covers_one(seed) for seed in range(8)])

# %% [markdown]
# ## 5. What it cannot show
#
# Who starts an activity early is chosen: by need, by place, by the caseworker. Adjusting for three answers does not make a lottery of it. The package says *association* where the design shows association, and so should you. How strong an unmeasured reason would have to be:

# %%
found = risk_ratio(first).set_index("term")
ratio = found[found.index.str.startswith("ratio")].iloc[0]
models.e_value(ratio["estimate"], conf_low=ratio["conf_low"], conf_high=ratio["conf_high"])

# %% [markdown]
# ## Elsewhere
#
# The same study in Stata or SPSS, with labels:

# %%
import tempfile
from pathlib import Path

with tempfile.TemporaryDirectory() as folder:
    print([path.name for path in study.to_dta(Path(folder) / "stata", language="en")])
    print([path.name for path in study.to_sav(Path(folder) / "spss", language="en")])

# %% [markdown]
# An analysis that should become part of every replication is one more file in `src/bipstudy/analyses/`: a function that takes a study and gives a `Result`; see *Contributing*.
