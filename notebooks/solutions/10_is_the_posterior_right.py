# ---
# jupyter:
#   jupytext:
#     formats: py:percent
# ---

# %% [markdown]
# # Solutions to notebook 10
#
# Each cell goes in the place of the notebook's cell `exercise-N`; `mistake-N` is a likely wrong answer, and why.

# %% [markdown]
# **1.** `plot_ranks(mystery.histograms[:1], plt.gca())` draws a ∩: the truth lies in the middle of the draws too
# often, so that they spread too far. The mistake takes the hill for a sign of narrowness, as if it were q's own
# shape.

# %% tags=["mistake-1"]
verdict = "narrow"

# %% tags=["solution-1"]
verdict = "wide"

# %% [markdown]
# **2.** Weights matter only up to a factor: a softmax over particles is the normalised weights, without overflow. The
# mistake exponentiates first.


# %% tags=["mistake-2"]
def effective_size(log_w):
    w = log_w.exp()
    return w.sum(0) ** 2 / (w**2).sum(0)


# %% tags=["solution-2"]
def effective_size(log_w):
    return 1 / log_w.softmax(0).square().sum(0)


# %% [markdown]
# **3.** Over many simulations z* comes from the prior, and so do the draws: their ranks are uniform although no text
# was read. The likelihood log p(x | z) is what tells: the true z explains its x far better than a z that has nothing
# to do with it, so that its rank is always high.

# %% tags=["mistake-3"]
finds_it = "norm of z"

# %% tags=["solution-3"]
finds_it = "log p(x|z)"
