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
# # Agreement with the Danish study, and every other way to answer
#
# Two questions are left when the analyses are done. **Agreement:** do the Swedish answers and the Danish ones point the same way? **Multiverse:** would the answer be another if other, equally sensible choices had been made?
#
# Both are needed for the same reason. The Danish estimators, samples and standard errors are not public, so there is no *one* replication. The study is simulated, the [Danish twin](../simulation/model.md), and **says nothing about Denmark or Sweden**.

# %%
import os

import pandas as pd
from IPython.display import Markdown

import bipstudy as bip
from bipstudy.replication import agreement, read_benchmarks

os.environ["BIPSTUDY_LANGUAGE"] = "en"  # figures, tables and notes in English; Swedish without this line
pd.set_option("display.max_colwidth", None, "display.float_format", "{:.3f}".format)

study, truth = bip.simulate_study(participants=1000, seed=1, scenario="danish_twin")

# %% [markdown]
# ## What is published
#
# Every Danish number of the package stands in one file, with its source and with what is unknown about it. Whoever gets hold of the Danish tables adds standard errors there, and what now says "not computable" is computed.

# %%
published = read_benchmarks()
pd.DataFrame(
    [
        {
            "id": one.id,
            "analysis": one.analysis,
            "finding": one.label["en"],
            "value": one.value,
            "unit": one.unit,
            "standard error": one.std_error,
        }
        for one in published
    ]
)

# %% [markdown]
# ## Agreement
#
# `bip.replicate` does this for all questions at once, with a plan and a report; see [The replication, rerun](replication.ipynb). By hand, for one:

# %%
met = agreement(bip.analyses.belief(study).estimates, language="en").dropna(subset=["ours"])
met[["benchmark", "label", "danish", "danish_direction", "ours", "conf_low", "conf_high", "verdict", "reason"]]

# %% [markdown]
# **How to read a verdict.** *Consistent in direction*: our whole interval lies on the Danish side of no association. *Inconsistent in direction*: wholly on the other side. *Inconclusive*: it contains no association, which is neither agreement nor disagreement. Shares and counts get a
# difference and no verdict. Where only a direction is published, `danish` is empty and `danish_direction` says which: positive, negative or no difference.
#
# "In direction" is all that can be said without a Danish standard error. How large would that have to be, for the two to agree? Where `smallest_danish_error` is 0, our own uncertainty is already enough.

# %%
met[
    [
        "benchmark",
        "scale",
        "difference",
        "difference_low",
        "difference_high",
        "danish_inside",
        "smallest_danish_error",
        "difference_p",
    ]
]

# %% [markdown]
# `difference` is ours divided by the Danish value for ratios, and ours minus it otherwise. Its interval takes the Danish number as if it were exact, which it is not. What may make the two differ although nothing is wrong:

# %%
Markdown("\n".join(f"- **{row.benchmark}** {row.differences}" for row in met.itertuples()))

# %% [markdown]
# ## The multiverse
#
# Estimator, contrast, definition of the transition, horizon, adjustment, occasions, effects absorbed, wash-out, missing answers: each can be chosen in more than one sensible way. Here all declared combinations are run for one question; `bipstudy replicate` runs all four (belief, continuity, indicators, activities) if the plan asks for them, see [the method](../method/multiverse.md).

# %%
from bipstudy.replication import multiverse

universe = multiverse(study, ["continuity"], flips=199, seed=1)
universe.table.drop(columns=["coefficient", "low_risk", "high_risk"]).head()

# %% [markdown]
# Combinations that do not go together are left out, with the reason:

# %%
from bipstudy.texts import text

left_out = universe.excluded.groupby(["question", "reason_key"]).size().rename("combinations").reset_index()
left_out.assign(reason=[text(key, "en") for key in left_out.pop("reason_key")])

# %%
from IPython.display import Image

from bipstudy.report.figures import to_png

Image(to_png(universe.figure("continuity", "en")), width=760)

# %% [markdown]
# **How to read it.** Each way to answer is one point, in order of its ratio; below, what it chose. If the points pass from one side of 1 to the other depending on a choice, that choice is the finding.

# %%
universe.summary.set_index("question").T

# %% [markdown]
# `above` is the share of ways that give a ratio above 1, `above_significant` and `below_significant` those that do so clearly, one by one. The ways share the same people and are no independent votes: that 90 per cent agree is not evidence ninety times over. `p_largest` tests
# all of them at once, *no association in any*, by flipping the signs of whole caseworkers in all ways alike.
#
# Which choice moves the answer most?

# %%
universe.variance.pivot(index="choice", columns="question", values="share")

# %% [markdown]
# Each share is that of one choice by itself, of the variance of the log ratios.
#
# **What it cannot show.** A multiverse varies what was declared. All its ways share the data, the measurement and what nobody measured: if the adjusted association of belief is a forecast, it is a forecast in every one of them. That a result holds in all says that it does not hang on a choice, not that it is an effect.
