# ---
# jupyter:
#   jupytext:
#     formats: py:percent
# ---

# %% [markdown]
# # 6 · What can a prior represent, and which one do I choose? Solutions.
#
# ## Exercise 1
#
# Where the places are far from each other, only their weights differ.

# %% tags=["solution-1"]
lacks = 0.7 * math.log(0.7 / 0.5) + 0.3 * math.log(0.3 / 0.5)

# %% [markdown]
# A likely mistake takes the mean by the prior, and not by the truth:

# %% tags=["mistake-1"]
lacks = 0.5 * math.log(0.5 / 0.7) + 0.5 * math.log(0.5 / 0.3)

# %% [markdown]
# ## Exercise 2
#
# The best independent prior has the truth's marginals. What it lacks is the mutual information.

# %% tags=["solution-2"]
independent = TABLE.sum(1)[:, None] * TABLE.sum(0)
least_lack = (TABLE * (TABLE / independent).log()).sum().item()

# %% [markdown]
# In bits it would be:

# %% tags=["mistake-2"]
independent = TABLE.sum(1)[:, None] * TABLE.sum(0)
least_lack = (TABLE * (TABLE / independent).log2()).sum().item()

# %% [markdown]
# ## Exercise 3
#
# Enough components tile a curve.


# %% tags=["solution-3"]
def my_prior():
    return MixturePrior(Z_SHAPE, 16, spread=0.5)


# %% [markdown]
# Three do not:


# %% tags=["mistake-3"]
def my_prior():
    return MixturePrior(Z_SHAPE, 3, spread=0.5)
