# ---
# jupyter:
#   jupytext:
#     formats: py:percent
# ---

# %% [markdown]
# # Solutions to notebook 2
#
# **1.** S · B · L · K · D = 16 · 4 · 12 · 8 · 512. The mistake forgets that particles and texts have a z each.

# %% tags=["mistake-1"]
numbers_in_z = 12 * 8 * 512

# %% tags=["solution-1"]
numbers_in_z = 16 * 4 * 12 * 8 * 512

# %% [markdown]
# **2.** `logsumexp` over the first dimension, less log S. The mistake exponentiates first: $e^{-500}$ is zero in floating
# point, and its logarithm is minus infinity.


# %% tags=["mistake-2"]
def importance_weighted(log_w):
    return log_w.exp().mean(0).log()


# %% tags=["solution-2"]
def importance_weighted(log_w):
    return log_w.logsumexp(0) - math.log(len(log_w))


# %% [markdown]
# **3.** The event has three dimensions, (L, K, D); the batch keeps B. The mistake leaves L outside.

# %% tags=["mistake-3"]
posterior = dist.Normal(torch.zeros(B, L, K, D), 0.5).to_event(2)

# %% tags=["solution-3"]
posterior = dist.Normal(torch.zeros(B, L, K, D), 0.5).to_event(3)
