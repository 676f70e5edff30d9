# ---
# jupyter:
#   jupytext:
#     formats: py:percent
# ---

# %% [markdown]
# # Solutions to notebook 13
#
# Each cell goes in the place of the notebook's cell `exercise-N`; `mistake-N` is a likely wrong answer, and why.

# %% [markdown]
# **1.** `parameters()` are those that learn, and the frozen weights are buffers. The mistake takes `parameters()` for
# all weights, as it is with other modules.

# %% tags=["mistake-1"]
share = sum(w.numel() for w in decoder.parameters() if w.requires_grad) / sum(w.numel() for w in decoder.parameters())

# %% tags=["solution-1"]
learned_weights = sum(weight.numel() for weight in decoder.parameters())
share = learned_weights / (learned_weights + sum(weight.numel() for weight in decoder.body.buffers()))

# %% [markdown]
# **2.** The gain grows with the tokens, and the KL is paid once: kl / gain, rounded up. The mistake rounds down, so
# that the thought does not quite pay.


# %% tags=["mistake-2"]
def break_even(kl, gain):
    return math.floor(kl / gain + 0.5)


# %% tags=["solution-2"]
def break_even(kl, gain):
    return math.ceil(kl / gain)


# %% [markdown]
# **3.** The KL of one dimension is (μ² + σ² - 1 - log σ²) / 2. The mistake leaves the KL out.


# %% tags=["mistake-3"]
def elbo_at(width):
    torch.manual_seed(0)
    draws = z_fitted + width * torch.randn(8, *z_fitted.shape)
    with torch.no_grad():
        return decoder.token_log_prob(held.x, draws, previous=held.previous).sum(-1).mean(0)


# %% tags=["solution-3"]
def elbo_at(width):
    torch.manual_seed(0)
    draws = z_fitted + width * torch.randn(8, *z_fitted.shape)
    with torch.no_grad():
        nats = decoder.token_log_prob(held.x, draws, previous=held.previous).sum(-1).mean(0)
    return nats - 0.5 * (z_fitted.square() + width**2 - 1 - 2 * math.log(width)).sum((1, 2, 3))
