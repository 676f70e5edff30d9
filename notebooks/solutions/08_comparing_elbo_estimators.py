# ---
# jupyter:
#   jupytext:
#     formats: py:percent
# ---

# %% [markdown]
# # 8 · Is a tighter bound a better one? Solutions.
#
# ## Exercise 1
#
# S grows by 16. The usual ratio falls like 1/√S: by √16 = 4, to a quarter. The doubly reparameterised one rises by 4.

# %% tags=["solution-1"]
factors = (1 / 4, 4.0)

# %% [markdown]
# A likely mistake takes the signal alone, which falls like 1/S:

# %% tags=["mistake-1"]
factors = (1 / 16, 16.0)

# %% [markdown]
# ## Exercise 2
#
# No. Log-weights are constant only where q *is* the posterior. The best mean field is not: its log-weights differ,
# their slope along z is not zero, and its gradient is zero only on average. Sticking the landing helps there too, but
# does not come to rest.

# %% tags=["solution-2"]
evaluation_mode, log_weights = False, "differ"

# %% tags=["mistake-2"]
evaluation_mode, log_weights = True, "same"

# %% [markdown]
# ## Exercise 3
#
# Double reparameterisation: the same bound and the same mean gradient, with far less noise.

# %% tags=["solution-3"]
my_bound = ImportanceWeighted(16, gradient=DoublyReparameterised())

# %% tags=["mistake-3"]
my_bound = ImportanceWeighted(16)
