# ---
# jupyter:
#   jupytext:
#     formats: py:percent
# ---

# %% [markdown]
# # Solutions to notebook 1
#
# Each cell goes in the place of the notebook's cell `exercise-N`; `mistake-N` is a likely wrong answer, and why.

# %% [markdown]
# **1.** log p(x) less the ELBO at q = N(0, 1), or the KL from the prior to the posterior N(1.6, 0.447²): both are
# 7.60 nats. The mistake is the KL the other way round: a KL is not symmetric, and the gap has q first.

# %% tags=["mistake-1"]
gap_at_the_prior = torch.distributions.kl_divergence(posterior, prior).item()

# %% tags=["solution-1"]
gap_at_the_prior = torch.distributions.kl_divergence(prior, posterior).item()

# %% [markdown]
# **2.** The peaks are near ±√2, pulled a little towards zero by the prior. The mistake forgets the factor ½ of each:
# a "density" of area two has an "ELBO" that may lie above log p(x).


# %% tags=["mistake-2"]
def log_q(z):
    return torch.logaddexp(dist.Normal(1.35, 0.2).log_prob(z), dist.Normal(-1.35, 0.2).log_prob(z))


# %% tags=["solution-2"]
def log_q(z):
    peaks = torch.logaddexp(dist.Normal(1.35, 0.2).log_prob(z), dist.Normal(-1.35, 0.2).log_prob(z))
    return peaks - math.log(2)


# %% [markdown]
# **3.** A bound holds in expectation, so it is the mean that is tested, with its standard error. The mistake asks every
# single value to lie below.


# %% tags=["mistake-3"]
def is_lower_bound(values, truth):
    return bool((values <= truth).all())


# %% tags=["solution-3"]
def is_lower_bound(values, truth):
    error = values.std() / math.sqrt(len(values))
    return bool(values.mean() - truth <= 3 * error + 1e-12)
