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
# # Reading the Danish numbers
#
# Four published numbers of the Danish study are quoted more often than they are explained: 1 against 27 per cent in work by the caseworker's belief; a third more with a
# caseworker who believes; 22 per cent less after a change of caseworker; 23 against 7 per cent between caseworkers. No standard error, sample or model behind them is
# public. What can be done is to build a world in which they all hold, the [Danish twin](../simulation/model.md), and see there what each can mean and what it cannot.
#
# Everything below is computed on this page, in simulated worlds whose truth is known. **None of it is evidence about Denmark**: it shows what the numbers are compatible with.

# %%
import numpy as np
import pandas as pd

import bipstudy as bip
from bipstudy import models
from bipstudy.simulation import scenario

twin = scenario("danish_twin")
study, truth = bip.simulate_study(participants=20_000, seed=1, scenario=twin)

# %% [markdown]
# ## 1. One against 27 per cent, and a third: both at once
#
# In the twin the share who start work within a year is, by the caseworker's first answer (1 is the lowest):

# %%
pd.DataFrame(
    {"share who answered": truth.belief_shares, "in work within 12 months": truth.risk_work_by_belief},
    index=pd.Index(range(1, 6), name="answer"),
).round(3)

# %% [markdown]
# That is the published gradient: some 1 per cent for the two lowest answers, 27 for the highest. And yet, in the same world, the *same participants* would reach work this much more
# often with a caseworker above the median of optimism than with one below it:

# %%
print(f"{100 * (truth.optimism_ratio_work - 1):.0f} per cent more in work")
print(f"{100 * (truth.optimism_ratio_any - 1):.0f} per cent more in work or study")

# %% [markdown]
# So a ratio of twenty and a ratio of one and a third do not contradict each other. The first says how well caseworkers *foresee* who gets a job. The second says what it would change to be given
# another caseworker. Nearly all of the first is that caseworkers see who is ready.
#
# What the two cannot mean together: that raising a caseworker's answer from the bottom to the top raises the chance twentyfold; or that a belief formed from what
# the caseworker sees can be moved for one participant without moving what it was formed from.
#
# ### A steep gradient needs no effect at all
#
# The same world with every effect of caseworkers, optimism and changes switched off:

# %%
idle, nothing_acts = bip.simulate_study(participants=20_000, seed=1, scenario="selection_only")
pd.DataFrame(
    {"in work within 12 months": nothing_acts.risk_work_by_belief}, index=pd.Index(range(1, 6), name="answer")
).round(3)

# %% [markdown]
# ## 2. What adjusting for the answers leaves
#
# It is natural to adjust the gradient for what the participant answered to the other questions. In a world where belief does **nothing**, what is left of the ratio then?
# It depends on how much of what matters the caseworker sees that no answer of the participant shows (the private share).


# %%
def left_over(private_share: float) -> dict[str, float]:
    """Ratio of risks of a transition, top two against bottom two answers, raw and adjusted for the participant's answers."""
    given = scenario("selection_only").replace(people__private_share=private_share)
    panel = bip.build_panel(bip.simulate_study(participants=20_000, seed=2, scenario=given)[0])
    items = [column for column in panel.filter(regex="^p_") if not column.endswith("_raw") and "_change" not in column]
    first = panel[panel["first_measurement"] & panel["belief"].notna() & panel["y_known"]]
    first = first[first["belief"].le(25) | first["belief"].ge(75)].dropna(subset=items)
    frame = first[["y", *items]].assign(y=first["y"].astype(float), top=first["belief"].ge(75).astype(float))
    found = {"private share": private_share}
    for name, terms in (("raw ratio", ["top"]), ("adjusted ratio", ["top", *items])):
        fit = models.discrete_hazard(frame, "y ~ " + " + ".join(terms), link="logit")
        risks = models.standardised_risk(fit, frame, exposure="top", values=[0.0, 1.0]).tidy().set_index("term")
        found[name] = float(risks.loc[risks.index.str.startswith("ratio"), "estimate"].iloc[0])
    return found


pd.DataFrame([left_over(share) for share in (0.0, 0.3, 0.6)]).round(1)

# %% [markdown]
# Nothing acts, so a right answer would be 1. Adjusting brings the ratio down and leaves most of it, even if nothing is private: the participant's answers measure readiness with error, and the belief
# measures it again. An adjusted contrast of *answers* can therefore not be set beside the published third. What can is the caseworker's **optimism about others**: see [the optimism design](../method/optimism.md).
#
# ## 3. Ever changed against never changed is immortal time
#
# Whoever is followed longer has more time to change caseworker, and whoever finds work early is followed no longer. In a world where a change of caseworker does **nothing**:

# %%
no_effect = twin.replace(events__change_hazard_ratio=1.0)
world, _ = bip.simulate_study(participants=20_000, seed=3, scenario=no_effect)
episodes = bip.build_episodes(world, washout_days=30)
person = episodes.groupby("participant").agg(changed=("changes_so_far", "max"), reached=("event", "max"))
shares = person.groupby(person["changed"].gt(0).map({True: "ever changed", False: "never changed"}))["reached"].mean()
print(shares.round(3).to_string())
print(f"ratio {shares['ever changed'] / shares['never changed']:.2f}")

# %% [markdown]
# Far below 1, with no effect at all. Counted by quarter instead, each quarter before the change as unchanged and each after it as changed, the ratio is what it should be:


# %%
def by_quarter(frame: pd.DataFrame) -> pd.Series:
    """Hazard ratio of the quarters after a first change, by time since the first measurement."""
    used = frame[["period", "participant"]].assign(
        event=frame["event"].astype(float), changed=frame["changes_so_far"].gt(0).astype(float)
    )
    used["period"] = used["period"].clip(upper=12)
    row = (
        models.discrete_hazard(used, "event ~ changed + C(period)", cluster="participant")
        .tidy()
        .set_index("term")
        .loc["changed"]
    )
    return np.exp(row[["estimate", "conf_low", "conf_high"]]).astype(float)


pd.DataFrame(
    {
        "a change does nothing": by_quarter(episodes),
        "hazard ratio 0.78 for each participant": by_quarter(bip.build_episodes(study)),
    }
).T.round(2)

# %% [markdown]
# In the second world each participant's own hazard falls to 0.78 after a change, and the ratio found lies nearer to 1: the ready leave first, and sooner where nothing holds them back, so that those still there
# unchanged are the less ready. Which of the two a published 22 per cent is, is not known.
#
# ## 4. 23 against 7 per cent between caseworkers comes by chance alone
#
# Let every caseworker be equally good: 15 per cent of everybody's clients reach work or study. Sort caseworkers by the share among their own clients and compare the upper half with the lower:


# %%
def halves(clients: int, share: float = 0.15, caseworkers: int = 100_000) -> tuple[float, float]:
    """Mean share in the upper and the lower half of equally good caseworkers."""
    reached = np.sort(np.random.default_rng(4).binomial(clients, share, caseworkers)) / clients
    return reached[caseworkers // 2 :].mean(), reached[: caseworkers // 2].mean()


pd.DataFrame(
    [halves(clients) for clients in (8, 12, 16, 24, 40)],
    index=pd.Index((8, 12, 16, 24, 40), name="clients each"),
    columns=["upper half", "lower half"],
).round(3)

# %% [markdown]
# With twelve clients each the halves differ by 23 against 7 per cent although nobody differs from anybody. The published difference can hide a large true one or none; how large it is can
# only be told by an estimate that takes chance out, such as [`bip.analyses.caseworkers`](../reference/api.md).
#
# ## What to take with you
#
# - The steep gradient is a forecast. It may be right and useful, and it is no measure of what belief does.
# - The third is a comparison of caseworkers. It has to come from a design that compares caseworkers, not answers.
# - A change of caseworker is an event in time. Any comparison of people by what happened to them later is wrong.
# - A spread between caseworkers means nothing until it is set beside the spread that chance makes.
