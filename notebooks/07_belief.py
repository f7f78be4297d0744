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
# # The caseworker's belief
#
# **Question.** Does the caseworker's belief that the participant will get a job go with reaching work or study?
#
# **What is published.** In work after a year: 1 per cent where the caseworker does not believe, 27 where the caseworker does (R5a, raw). A third higher chance of job or education with a believing caseworker (R2a, 33 per cent; R2b, 32 per cent, job). Belief is called
# by far the most important indicator. No standard error, sample or model is published, nor what was contrasted with what.
#
# The raw shares and the third are answers to two questions. The first asks how well caseworkers **foresee**. The second can be read as what it would change to be given **another caseworker**. This notebook keeps the two apart; why that is needed is worked out in
# [Reading the Danish numbers](02_reading_the_danish_numbers.ipynb), and the design in [The optimism of the caseworker](../method/optimism.md).
#
# The study is simulated, the [Danish twin](../simulation/model.md): **it says nothing about Denmark or Sweden**, but its truth is known.

# %%
import os

import pandas as pd
from IPython.display import Markdown

import bipstudy as bip
from bipstudy.replication import agreement

os.environ["BIPSTUDY_LANGUAGE"] = "en"  # figures, tables and notes in English; Swedish without this line
pd.set_option("display.max_colwidth", None, "display.float_format", "{:.3f}".format)

study, truth = bip.simulate_study(seed=2, scenario="danish_twin")
belief = bip.analyses.belief(study)
Markdown(f"**{belief.question()}** {belief.estimand()}\n\n**Answer.** {belief.answer()}")

# %% [markdown]
# ## 1. How well belief foresees

# %%
belief.figures["by_answer"]

# %% [markdown]
# **How to read it.** The raw share that started work within twelve months, by the caseworker's first answer. It may be set beside R5a, which is raw too, and beside nothing else.

# %%
from bipstudy.replication import agreement_parts

parts = agreement_parts(belief.estimates, language="en")
parts[parts["benchmark"].isin(["R5a", "R6"])]

# %% [markdown]
# ## 2. The ladder: what adjusting leaves

# %%
belief.figures["ladder"]

# %% [markdown]
# **How to read it.** The ratio of the two highest to the two lowest answers, on one and the same sample, with more and more held equal. The ladder goes down as more of what the caseworker saw is held. It does not tell where it would end: that which no form asks about is
# never held. The adjusted ratio has **no Danish counterpart**, and is not set against the third.
#
# The same association in other words: one step, one standard deviation, and split into how answers differ *within* a caseworker's participants and *between* caseworkers.

# %%
belief.table("contrasts")

# %% [markdown]
# How strong would something unmeasured have to be, to explain the whole of the adjusted ratio?

# %%
belief.table("sensitivity")

# %% [markdown]
# A large E-value is no comfort here: what a caseworker knows of a participant beyond the form *is* strong. It does not make a forecast a cause.
#
# ## 3. Another caseworker: optimism about others
#
# For each participant the caseworker's optimism is measured on *other* participants, met earlier. Participants are compared within unit and quarter of entry. This is what R2a and R2b are held against.

# %%
belief.figures["optimism"]

# %%
met = agreement(belief.estimates, language="en").dropna(subset=["ours"])
met[["benchmark", "label", "danish", "danish_direction", "ours", "conf_low", "conf_high", "verdict", "reading"]]

# %% [markdown]
# **How to read it.** A ratio of 1 is no association. Where only a direction is published, `danish` is empty and `danish_direction` says which. The interval is far wider than that of the ladder: there are few caseworkers, and each has met few participants before. In this world the truth is

# %%
print(f"{truth.optimism_ratio_any:.2f} for work or study, {truth.optimism_ratio_work:.2f} for work")

# %% [markdown]
# A study of this size may miss it, and another seed gives another answer. That is what the power curve of `bipstudy power belief` is for; see [A scenario of your own](03_your_own_scenario.ipynb) for how to plan.
#
# The ratio is also drawn towards 1 because optimism is measured by few answers. The corrected ratio of the table `optimism` allows for that; it is not set against the Danish numbers, since nothing says that theirs was corrected.
#
# ### Is the comparison fair?
#
# If caseworkers came to participants as if by lot, their optimism would not go with what the participants themselves answered:

# %%
belief.figures["balance"]

# %% [markdown]
# All points should lie around zero. If they do not, the verdicts carry a warning. A test passed does not show that nobody matched people by what no form asks.
#
# ## 4. Belief itself, if optimism acts in no other way
#
# Only then is the instrumented estimate about belief. Optimistic caseworkers may also start more activities or meet people more often, and the reduced form above is therefore the result, the instrument the footnote.

# %%
belief.table("instrument")

# %% [markdown]
# ## 5. What goes with belief

# %%
belief.table("goes_with")

# %%
belief.table("variance")

# %% [markdown]
# **What none of this can show**

# %%
Markdown("\n".join(f"- {note}" for note in belief.notes))
