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
# # Indicators, change in them, and prediction
#
# Three questions about the eleven indicators, which are easily taken for one:
#
# | | question | Danish finding |
# |---|---|---|
# | `indicators` | which *levels* go with reaching work or study? | R1: seven of eleven go with getting a job |
# | `progression` | does a *change* go with the transition that follows? | R17: of eight measures, only self-rated health both predicts employment and rises after activities (a later study; that it used BIP data is not confirmed) |
# | `readiness` | how well do they *predict*, beyond background? | R14: much better than ordinary register data; no measure is published |
#
# An indicator may predict without changing, change without predicting, and do both without bringing about anything. The study is simulated (the [Danish twin](../simulation/model.md)) and **says nothing about Denmark or Sweden**. Three of the eleven
# indicators are not public: `unpublished_1` to `unpublished_3` are placeholders.

# %%
import os

import pandas as pd
from IPython.display import Markdown

import bipstudy as bip
from bipstudy.replication import agreement

os.environ["BIPSTUDY_LANGUAGE"] = "en"  # figures, tables and notes in English; Swedish without this line
pd.set_option("display.max_colwidth", None, "display.float_format", "{:.3f}".format)

study, truth = bip.simulate_study(participants=1500, seed=1, scenario="danish_twin")

# %% [markdown]
# ## Which levels go with the transition

# %%
indicators = bip.analyses.indicators(study)
Markdown(f"**{indicators.question()}** {indicators.estimand()}\n\n**Answer.** {indicators.answer()}")

# %%
indicators.figures["risk_differences"]

# %% [markdown]
# **How to read it.** One point per indicator: how many percentage points more reach work or study where the first answer is one standard deviation higher, with the same background. The intervals are for one indicator at a time; which of them
# *hold* is judged with Holm's correction for having tested all (`p_holm`). `together` has all indicators in one model: the indicators go with each other, so that little may be left of each.

# %%
indicators.table("items")[["item", "respondent", "raw", "estimate", "conf_low", "conf_high", "p_holm", "together"]]

# %% [markdown]
# In this world the truth is known. Those associated in truth:

# %%
print(", ".join(truth.associated_items))

# %% [markdown]
# ### The Danish seven
#
# The number that hold is set beside the Danish seven, without a verdict, because **a count of significant things measures the size of a study as much as the world**. The figure shows how many would hold in a study like this one, if all
# eleven, or seven of them, had an association of the size on the axis.

# %%
indicators.figures["expected"]

# %%
met = agreement(indicators.estimates, language="en").dropna(subset=["ours"])
met[["benchmark", "label", "danish", "danish_direction", "ours", "conf_low", "conf_high", "verdict", "reading"]]

# %% [markdown]
# **What it cannot show**

# %%
Markdown("\n".join(f"- {note}" for note in indicators.notes))

# %% [markdown]
# ## Does a change go with the transition that follows?

# %%
progression = bip.analyses.progression(study)
Markdown(f"**{progression.question()}** {progression.estimand()}\n\n**Answer.** {progression.answer()}")

# %%
progression.figures["models"]

# %% [markdown]
# **How to read it.** Hazard ratios per standard deviation of quarterly change; 1 is no association. Two traps pull in opposite directions, so both models are shown. *Without the level at the beginning*, who answered low by chance rises by chance: change that means
# nothing (regression to the mean). *With it*, the later answer also tells of the stable level, since answers are fallible: a ratio above one may come about without any real change. A finding that rests on one of the two models alone is not one.
#
# Only those who answer again are seen. Those who left for work before they could are not: the model is also weighted for who answers again.
#
# An indicator is called a valid intermediate outcome if it both goes with later work and rises after an interval with an activity, each after Holm's correction.

# %%
progression.table("indicators")[["item", "respondent", "predicts", "predicts_p", "rises", "rises_p", "valid"]]

# %%
Markdown("\n".join(f"- {note}" for note in progression.notes))

# %% [markdown]
# ## How well do they predict?

# %%
readiness = bip.analyses.readiness(study)
Markdown(f"**{readiness.question()}** {readiness.estimand()}\n\n**Answer.** {readiness.answer()}")

# %%
readiness.figures["auc"]

# %% [markdown]
# **How to read it.** 0.5 is a coin, 1 is certainty. Every prediction is for participants of caseworkers whom the model has not seen, and then for organisations that it has not seen: the second is what a new organisation may expect.
# The gain is the distance from background alone. The background here is what the study's tables hold, not the whole Danish register, so that R14 is met in direction only.
#
# Discrimination is not enough: is a predicted 20 per cent 20 per cent?

# %%
readiness.figures["calibration"]

# %% [markdown]
# And is there a use of it? Net benefit counts those rightly selected, less those wrongly selected at the price that the threshold implies. Where the line is not above *everybody* and *nobody*, the prediction is of no use for that decision.

# %%
readiness.figures["decision"]

# %%
met = agreement(readiness.estimates, language="en").dropna(subset=["ours"])
met[["benchmark", "label", "ours", "conf_low", "conf_high", "verdict", "reading"]]

# %%
Markdown("\n".join(f"- {note}" for note in readiness.notes))
