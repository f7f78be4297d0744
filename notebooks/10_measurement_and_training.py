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
# # Is the questionnaire sound, and does training show?
#
# | | question | Danish finding |
# |---|---|---|
# | `measurement` | do the answers hang together, do participant and caseworker agree, who answers? | none published |
# | `training` | do trained and refreshed staff give better data, and do their participants fare better? | none; it is the aim of the Swedish project |
#
# Both are about the study itself. Nothing Danish can be set beside them, and the default questionnaire is provisional: scale and wording of the Danish one are not public. The study is simulated, with six organisations and 300 trained staff; everything else in it is assumed, and **it says nothing about any real questionnaire or course**.

# %%
import os

import pandas as pd
from IPython.display import Markdown

import bipstudy as bip

os.environ["BIPSTUDY_LANGUAGE"] = "en"  # figures, tables and notes in English; Swedish without this line
pd.set_option("display.max_colwidth", None, "display.float_format", "{:.3f}".format)

study, truth = bip.simulate_study(participants=2500, seed=3, scenario="swedish_pilot")
measurement = bip.analyses.measurement(study)
Markdown(f"**{measurement.question()}** {measurement.estimand()}\n\n**Answer.** {measurement.answer()}")

# %% [markdown]
# ## Do the answers hang together?

# %%
measurement.table("respondents")

# %% [markdown]
# Omega is the share of the variance of the sum that one common factor makes. It is right for a scale with one factor; how many there are, parallel analysis says:

# %%
measurement.figures["eigenvalues"]

# %% [markdown]
# **How to read it.** A factor counts where its eigenvalue lies above that of answers that go with nothing. Where there is more than one, a single sum hides something: in this world some of the indicators have nothing to do with readiness, and the sum mixes them in.

# %%
measurement.table("items")

# %% [markdown]
# ## Do participant and caseworker agree?

# %%
measurement.figures["agreement"]

# %% [markdown]
# **How to read it.** Kappa is 1 where both always give the same answer, 0 where they agree as often as by chance. Low agreement does not say who is right. Belief is asked of the caseworker alone and has no kappa.
#
# ## Do the items measure the same everywhere?
#
# Multi-group factor models with more and more held equal over organisations. Only if a step holds may the averages that rest on it be compared between organisations.

# %%
measurement.table("invariance")

# %% [markdown]
# ## Who answers, and how?

# %%
measurement.table("response")

# %% [markdown]
# Forms that were never recorded are not counted as due: the shares are of recorded forms. How a form is answered may move the answer, and people who answer by phone are not those who answer alone:

# %%
measurement.table("modes")

# %%
Markdown("\n".join(f"- {note}" for note in measurement.notes))

# %% [markdown]
# ## Training

# %%
training = bip.analyses.training(study)
Markdown(f"**{training.question()}** {training.estimand()}\n\n**Answer.** {training.answer()}")

# %%
training.figures["by_quarter"]

# %% [markdown]
# **How to read it.** Quarters before and after the refresher, against the quarter just before it and against staff *not yet* refreshed at that time. The quarters before must lie around zero, or staff who were about to be refreshed developed differently already. The quarter of the refresher itself is
# shown, and not part of the estimate.
#
# `by_training` compares staff as they are: the keen may be trained first, so that its differences are not those of training.

# %%
training.table("by_training")

# %%
training.estimates[["contrast", "outcome", "scale", "estimate", "conf_low", "conf_high", "n", "clusters"]]

# %%
Markdown("\n".join(f"- {note}" for note in training.notes))
