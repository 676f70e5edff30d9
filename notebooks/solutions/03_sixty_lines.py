# ---
# jupyter:
#   jupytext:
#     formats: py:percent
# ---

# %% [markdown]
# # 3 · What is a Latent Thought Model, in sixty lines? Solutions.
#
# ## Exercise 1
#
# Given its topic, a text is sixteen independent words: 16 times the entropy of one, 22.62 nats.

# %% tags=["solution-1"]
cost_when_told = -16 * (0.8 * math.log(0.4) + 0.2 * math.log(0.2 / 6))

# %% [markdown]
# A likely mistake counts in bits:

# %% tags=["mistake-1"]
cost_when_told = -16 * (0.8 * math.log2(0.4) + 0.2 * math.log2(0.2 / 6))

# %% [markdown]
# ## Exercise 2
#
# One number changes.


# %% tags=["solution-2"]
def wide_model(decoder, x, mu, log_sigma):
    with pyro.plate("texts", len(x)):
        z = pyro.sample("z", dist.Normal(torch.zeros(L, K, D), 2.0).to_event(3))
        pyro.sample("x", dist.Categorical(logits=decoder(x, z)).to_event(1), obs=x)


# %% [markdown]
# A likely mistake gives the variance:


# %% tags=["mistake-2"]
def wide_model(decoder, x, mu, log_sigma):
    with pyro.plate("texts", len(x)):
        z = pyro.sample("z", dist.Normal(torch.zeros(L, K, D), 4.0).to_event(3))
        pyro.sample("x", dist.Categorical(logits=decoder(x, z)).to_event(1), obs=x)


# %% [markdown]
# ## Exercise 3
#
# The logarithm of the mean weight. `logsumexp` keeps small weights from vanishing.


# %% tags=["solution-3"]
def importance_weighted(log_w):
    return log_w.logsumexp(0) - math.log(len(log_w))


# %% [markdown]
# The mean of the logarithms is the ELBO:


# %% tags=["mistake-3"]
def importance_weighted(log_w):
    return log_w.mean(0)
