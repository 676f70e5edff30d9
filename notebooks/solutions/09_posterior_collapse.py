# ---
# jupyter:
#   jupytext:
#     formats: py:percent
# ---

# %% [markdown]
# # Solutions to notebook 9
#
# Each cell goes in the place of the notebook's cell `exercise-N`; `mistake-N` is a likely wrong answer, and why.

# %% [markdown]
# **1.** Averaged over texts the KL is at least the mutual information of text and thought, here log 50 = 3.91 nats.
# The mistake counts bits.

# %% tags=["mistake-1"]
least_kl = math.log2(50)

# %% tags=["solution-1"]
least_kl = math.log(50)

# %% [markdown]
# **2.** Nats per token of a corpus are a ratio of sums. The mistake averages the texts' own ratios, in which a short
# text counts as much as a long one.


# %% tags=["mistake-2"]
def is_collapsed(kl, tokens):
    return (kl / tokens).mean() < 0.001


# %% tags=["solution-2"]
def is_collapsed(kl, tokens):
    return kl.sum() / tokens.sum() < 0.001


# %% [markdown]
# **3.** Free nats keep it up, and so would a KL weight that stays low. Either way the honest ELBO pays. The mistake
# anneals: when the weight is back at one, so is the collapse.

# %% tags=["mistake-3"]
my_objective = KLWeighted(LinearSchedule(0.0, 1.0, steps=100))

# %% tags=["solution-3"]
my_objective = FreeBits(2.0, per="layer")
