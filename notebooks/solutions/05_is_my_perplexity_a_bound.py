# ---
# jupyter:
#   jupytext:
#     formats: py:percent
# ---

# %% [markdown]
# # 5 · Is my perplexity a bound? Solutions.
#
# ## Exercise 1
#
# The prior's number is the ELBO of q = p, and the importance-weighted bound with one draw is the ELBO.

# %% tags=["solution-1"]
upper_bounds = {"prior", "elbo", "importance-weighted"}

# %% [markdown]
# A likely mistake takes the reconstruction for one:

# %% tags=["mistake-1"]
upper_bounds = {"prior", "elbo", "importance-weighted", "reconstruction"}

# %% [markdown]
# ## Exercise 2
#
# All nats over all tokens, then the exponential.


# %% tags=["solution-2"]
def perplexity(nats, tokens):
    return (nats.sum() / tokens.sum()).exp()


# %% [markdown]
# The mean over texts counts a text of two tokens as much as one of a hundred:


# %% tags=["mistake-2"]
def perplexity(nats, tokens):
    return (nats / tokens).exp().mean()


# %% [markdown]
# ## Exercise 3
#
# The guide may stay as it is. It is the noise that must be new.


# %% tags=["solution-3"]
def report(model, guide, x):
    return -ELBO(particles=16).terms(model, guide, x).elbo


# %% [markdown]
# The same seed gives the same noise:


# %% tags=["mistake-3"]
def report(model, guide, x):
    return -FixedNoise(ELBO(), seed=3).terms(model, guide, x).objective
