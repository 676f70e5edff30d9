# ---
# jupyter:
#   jupytext:
#     formats: py:percent
# ---

# %% [markdown]
# # 4 · Fast and slow: what happens in the fast loop? Solutions.
#
# ## Exercise 1
#
# What can be won is the first gap less `best`; a tenth of it may be left.


# %% tags=["solution-1"]
def enough(gaps, best):
    return int((gaps <= best + 0.1 * (gaps[0] - best)).nonzero()[0])


# %% [markdown]
# A likely mistake asks for a tenth of the first gap, which the best mean field itself may not reach:


# %% tags=["mistake-1"]
def enough(gaps, best):
    return int((gaps <= 0.1 * gaps[0]).nonzero()[0])


# %% [markdown]
# ## Exercise 2
#
# T + 1 passes.

# %% tags=["solution-2"]
times_the_compute = 17

# %% [markdown]
# The slow step is forgotten:

# %% tags=["mistake-2"]
times_the_compute = 16

# %% [markdown]
# ## Exercise 3
#
# Natural gradients with eight draws: each step goes half of the way, and the rate falls.

# %% tags=["solution-3"]
my_loop = FastLoop(ELBO(particles=8), steps=6, learning_rate=0.5, optimizer=NaturalGradient)

# %% [markdown]
# At a rate of 0.9 the noise of eight draws throws some texts off:

# %% tags=["mistake-3"]
my_loop = FastLoop(ELBO(particles=8), steps=6, learning_rate=0.9, optimizer=NaturalGradient)
