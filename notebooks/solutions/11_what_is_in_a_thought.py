# ---
# jupyter:
#   jupytext:
#     formats: py:percent
# ---

# %% [markdown]
# # Solutions to notebook 11
#
# Each cell goes in the place of the notebook's cell `exercise-N`; `mistake-N` is a likely wrong answer, and why.

# %% [markdown]
# **1.** What is written is a cost, so that the second layer earns what it takes away. The mistake looks at the free
# reconstruction, which forgets the price.

# %% tags=["mistake-1"]
earned = inspection.probe[1].nats_per_token - inspection.probe[2].nats_per_token

# %% tags=["solution-1"]
earned = inspection.probe_bound[1].nats_per_token - inspection.probe_bound[2].nats_per_token

# %% [markdown]
# **2.** Half the sum of two independent draws has half the variance in every dimension: its length is 1/√2 of theirs.
# The mistake halves the length.

# %% tags=["mistake-2"]
factor = 0.5

# %% tags=["solution-2"]
factor = 0.5**0.5

# %% [markdown]
# **3.** `cost` takes thoughts of shape (N, L, K, D), so that a single one needs a dimension in front. The mistake
# forgets to swap.


# %% tags=["mistake-3"]
def swapped_cost(row, other):
    with torch.no_grad():
        return cost(guide.posterior().mean[row][None], row)[0]


# %% tags=["solution-3"]
def swapped_cost(row, other):
    with torch.no_grad():
        return cost(guide.posterior().mean[other][None], row)[0]
