# ---
# jupyter:
#   jupytext:
#     formats: ipynb,py:percent
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # 1 · What is a bound?
#
# [![Open Colab](https://colab.research.google.com/assets/colab-badge.svg)](https://colab.research.google.com/)
# (there: *Upload*, and choose this file)
#
# In a model with a latent variable z, a text x costs $-\log p(x)$ nats. This number can almost never be computed; a
# *bound* on it can. How can we trust that a number lies on one side of another number that nobody knows?
#
# **At the end you will know**
# - what the evidence p(x) is, and why it is an integral;
# - what the ELBO is, and that its distance to log p(x) is exactly one KL divergence;
# - how to close the gap: a better q, a richer family of q, or more samples;
# - the one test that distinguishes a bound from any other number: *fresh noise*.

# %% tags=["install"]
import importlib.util
import subprocess
import sys

if importlib.util.find_spec("ltm_pyro") is None:  # on Colab, or in a new environment
    package = "ltm-pyro[notebooks] @ git+https://github.com/ltm-pyro/ltm_pyro"  # the name is not on PyPI yet
    subprocess.run([sys.executable, "-m", "pip", "install", "--quiet", package], check=True)

# %%
import math

import matplotlib.pyplot as plt
import pyro
import pyro.distributions as dist
import torch

torch.set_default_dtype(torch.float64)
pyro.set_rng_seed(1)
plt.rcParams.update({"figure.dpi": 80, "axes.spines.top": False, "axes.spines.right": False})

# %% [markdown]
# ## By hand: a model with one latent number
#
# This is the smallest latent variable model: $z \sim \mathcal N(0, 1)$, then $x \mid z \sim \mathcal N(wz, s^2)$. We
# observe $x = 2$.

# %%
w, s, x = 1.0, 0.5, torch.tensor(2.0)
prior = dist.Normal(0.0, 1.0)


def likelihood(z):
    return dist.Normal(w * z, s)


def log_joint(z):
    return prior.log_prob(z) + likelihood(z).log_prob(x)


# %% [markdown]
# The **evidence** $p(x) = \int p(z)\,p(x \mid z)\,dz$ is the area under the joint density. For a single z a grid is
# enough to compute it; for the 3,072 numbers of a small Latent Thought Model no grid is.

# %%
z = torch.linspace(-4, 4, 4001)
joint = log_joint(z).exp()
evidence = torch.trapezoid(joint, z).log()
print(f"log p(x) from the grid {evidence:.6f}")
print(f"log p(x) in closed form {dist.Normal(0.0, math.hypot(w, s)).log_prob(x):.6f}")

# %%
fig, ax = plt.subplots(figsize=(6, 3))
ax.plot(z, prior.log_prob(z).exp(), label="prior p(z)")
ax.plot(z, joint / joint.max() * 0.4, "--", label="joint p(x, z), enlarged")
posterior = dist.Normal(w * x / (w**2 + s**2), s / math.hypot(w, s))  # conjugate: known exactly
ax.plot(z, posterior.log_prob(z).exp(), label="posterior p(z | x)")
ax.set(xlabel="z", title="The posterior is the joint, divided by its area p(x)")
ax.legend(frameon=False)
plt.show()

# %% [markdown]
# ## The ELBO and its gap
#
# Take *any* density q(z). Because $\log p(x) = \log p(x, z) - \log p(z \mid x)$ for every z,
#
# $$\log p(x) \;=\; \underbrace{\mathbb E_q\big[\log p(x, z) - \log q(z)\big]}_{\text{ELBO}} \;+\;
#   \underbrace{\mathbb E_q\big[\log q(z) - \log p(z \mid x)\big]}_{\mathrm{KL}(q \,\|\, p(z \mid x)) \;\ge\; 0}.$$
#
# This identity is exact. The ELBO is a lower bound because a KL cannot be negative, and the gap *is* that KL.


# %%
def elbo(mu, sigma):
    """E_q[log p(x | z)] - KL(q || p(z)) for q = N(mu, sigma²), in closed form."""
    mu, sigma = torch.as_tensor(mu), torch.as_tensor(sigma)
    fit = likelihood(mu).log_prob(x) - (w * sigma) ** 2 / (2 * s**2)
    kl_to_prior = 0.5 * (mu**2 + sigma**2 - 1) - sigma.log()
    return fit - kl_to_prior


def gap(mu, sigma):
    return torch.distributions.kl_divergence(dist.Normal(mu, sigma), posterior)


for mu, sigma in [(0.0, 1.0), (1.0, 0.5), (1.6, 0.45), (posterior.loc, posterior.scale)]:
    print(
        f"q = N({mu:.2f}, {sigma:.2f}²)   ELBO {elbo(mu, sigma):8.4f} + gap {gap(mu, sigma):7.4f} = log p(x)", end=" "
    )
    print(f"{elbo(mu, sigma) + gap(mu, sigma):.4f}")


# %%
def draw(ax, mu, sigma):
    """One q beside the posterior, and how far its ELBO is below log p(x)."""
    ax.fill_between(z, posterior.log_prob(z).exp(), alpha=0.25, label="p(z | x)")
    ax.plot(z, dist.Normal(mu, sigma).log_prob(z).exp(), color="C1", label="q(z)")
    ax.set(xlim=(-2, 4), ylim=(0, 1.8), xlabel="z", title=f"gap {gap(torch.tensor(mu), torch.tensor(sigma)):.3f} nats")


fig, axes = plt.subplots(1, 4, figsize=(12, 2.6), sharey=True)
for ax, setting in zip(axes, [(0.0, 1.0), (1.0, 0.45), (1.6, 0.15), (1.6, 0.447)], strict=True):
    draw(ax, *setting)
axes[0].legend(frameon=False)
plt.show()
# %% [markdown]
# The third q has the right mean and still a gap of 0.65 nats: its variance is too small. Move the sliders (they need a
# running kernel) until the gap is zero.

# %% tags=["slider"]
import ipywidgets as widgets


@widgets.interact(mu=(-1.0, 3.0, 0.1), sigma=(0.1, 1.5, 0.05))
def look(mu=0.5, sigma=1.0):
    fig, ax = plt.subplots(figsize=(5, 2.6))
    draw(ax, mu, sigma)
    plt.show()


# %% [markdown]
# ## In Pyro, and in the library
#
# A real model has no closed form, so that the expectation is estimated by a mean over samples of q. `LinearGaussian` is
# our model as a Pyro program (with any number of z, and with the exact evidence and posterior); `MeanFieldGuide` is q,
# with one row per sequence; `ELBO` is the equation above.

# %%
from ltm_pyro import ELBO, FastLoop, ImportanceWeighted, MeanFieldGuide
from ltm_pyro.models.exact import LinearGaussian

toy = LinearGaussian(z_shape=(1, 1, 1), observed=1, noise=s, batch=1)
with torch.no_grad():
    toy.weight.fill_(w)
    toy.bias.fill_(0.0)
toy.x = x.view(1, 1)
print("its evidence:", toy.evidence(toy.x).item())

guide = MeanFieldGuide(toy.z_shape)
guide.start(toy.x, prior=toy.prior())  # q begins at the prior
print("ELBO at the prior, 20,000 samples:", round(ELBO(20_000).terms(toy, guide, toy.x).elbo.item(), 3))
print("ELBO at the prior, closed form:   ", round(elbo(0.0, 1.0).item(), 3))

# %% [markdown]
# `FastLoop` maximises the ELBO by gradient ascent, with fresh noise at every step. The ELBO rises to log p(x), and
# stays below it.

# %%
steps = [0, 1, 2, 4, 8, 16, 32, 64, 128]
climbed, places = [], []
for number in steps:
    pyro.set_rng_seed(0)
    FastLoop(ELBO(particles=8), steps=number, learning_rate=0.3).fit(toy, guide, toy.x)
    climbed.append(elbo(guide.mu.detach().squeeze(), guide.log_sigma.detach().exp().squeeze()))
    places.append((guide.mu.item(), guide.log_sigma.exp().item()))

fig, ax = plt.subplots(figsize=(6, 3))
ax.plot(range(len(steps)), climbed, "o-", label="ELBO of the fitted q")
ax.axhline(evidence, color="k", lw=1, label="log p(x)")
ax.set_xticks(range(len(steps)), steps)
ax.set(xlabel="fast steps", ylabel="nats", title="Every step may close the gap; none crosses the line")
ax.legend(frameon=False)
print("the last q:    mu {:.3f}, sigma {:.3f}".format(*places[-1]))
print(f"the posterior: mu {posterior.loc:.3f}, sigma {posterior.scale:.3f}")

# %% [markdown]
# ## A gap that no Gaussian closes
#
# Let $x \mid z \sim \mathcal N(z^2, s^2)$. Now z and -z explain x equally well: the posterior has two peaks. The best
# single Gaussian covers one of them; its gap is about $\log 2$, the cost of missing the other, and no fit can close it.


# %%
def log_joint_square(z):
    return prior.log_prob(z) + dist.Normal(z**2, s).log_prob(x)


evidence_square = torch.trapezoid(log_joint_square(z).exp(), z).log()


def elbo_on_grid(log_q):
    """The ELBO of any density, given as log q on the grid: no sampling, no closed form needed."""
    q = log_q.exp()
    return torch.trapezoid(q * (log_joint_square(z) - log_q), z)


candidates = [(mu, sigma) for mu in torch.linspace(0, 2, 41) for sigma in torch.linspace(0.05, 1.5, 59)]
best = max(candidates, key=lambda q: elbo_on_grid(dist.Normal(*q).log_prob(z)))
best_q = dist.Normal(*best)
gap_square = evidence_square - elbo_on_grid(best_q.log_prob(z))

fig, ax = plt.subplots(figsize=(6, 3))
ax.fill_between(z, (log_joint_square(z) - evidence_square).exp(), alpha=0.25, label="p(z | x)")
ax.plot(z, best_q.log_prob(z).exp(), color="C1", label="best Gaussian q")
ax.set(xlim=(-3, 3), xlabel="z", title=f"gap {gap_square:.3f} nats;  log 2 = {math.log(2):.3f}")
ax.legend(frameon=False)
plt.show()

# %% [markdown]
# **More samples in one bound.** The importance-weighted bound averages S weights *before* the logarithm,
# $\mathbb E \log \frac1S \sum_s \frac{p(x, z_s)}{q(z_s)}$. With S = 1 it is the ELBO; it rises with S. How far it rises
# depends on q: some samples must fall on the other peak. Samples of a narrow q never do. A wider q has a larger gap at
# S = 1, but its samples reach both peaks.


# %%
def importance_weighted(q, particles, repeats=4000):
    draws = q.sample((particles, repeats))
    log_w = log_joint_square(draws) - q.log_prob(draws)  # (S, repeats)
    return (log_w.logsumexp(0) - math.log(particles)).mean()


numbers = [1, 2, 4, 8, 16, 32, 64, 128]
wide_q = dist.Normal(0.0, 1.2)
fig, ax = plt.subplots(figsize=(6, 3))
for label, q in [("best Gaussian, on one peak", best_q), ("wide Gaussian, over both", wide_q)]:
    ax.plot(numbers, [importance_weighted(q, number) for number in numbers], "o-", label=label)
ax.axhline(evidence_square, color="k", lw=1, label="log p(x)")
ax.set(xscale="log", xticks=numbers, xticklabels=numbers, xlabel="S", ylabel="nats")
ax.set_title("From below, for every S and every q")
ax.legend(frameon=False)
plt.show()

# %% [markdown]
# In the library this is one line: `ImportanceWeighted(S)` instead of `ELBO()`. Its `claim` says how its mean relates to
# log p(x).

# %%
for bound in (ELBO(2000), ImportanceWeighted(2000)):
    guide.start(toy.x, prior=toy.prior())
    value = bound.terms(toy, guide, toy.x).bound.item()
    print(f"{bound.name:24} {bound.claim.name:12} at q = the prior: {value:8.4f}   (log p(x) = {evidence:.4f})")

# %% [markdown]
# ## A number that is not a bound
#
# Draw *one* noise ε, write $z = \mu + \sigma\varepsilon$, and fit (μ, σ) to that single draw. Report
# $\log p(x \mid \mu + \sigma\varepsilon) - \mathrm{KL}$ at the same ε. The KL is exact, but the likelihood term is no
# longer an expectation: q needs to be right at one point only, and for some ε that costs little KL.

# %%
noises, fixed, fresh = torch.randn(60), [], []
for epsilon in noises:
    mu, log_sigma = torch.zeros((), requires_grad=True), torch.zeros((), requires_grad=True)
    optimizer = torch.optim.Adam([mu, log_sigma], lr=0.1)
    for _ in range(100):
        q = dist.Normal(mu, log_sigma.exp())
        value = likelihood(mu + log_sigma.exp() * epsilon).log_prob(x) - torch.distributions.kl_divergence(q, prior)
        optimizer.zero_grad()
        (-value).backward()
        optimizer.step()
    fixed.append(value.item())
    fresh.append(elbo(mu.detach(), log_sigma.detach().exp()).item())

fig, ax = plt.subplots(figsize=(6, 3))
ax.plot(noises, fixed, "C3o", ms=4, label="scored with the noise it was fitted to")
ax.plot(noises, fresh, "C0o", ms=4, label="the same q, expected over fresh noise")
ax.axhline(evidence, color="k", lw=1, label="log p(x)")
ax.set(xlabel="ε, the one draw of the noise", ylabel="nats", title="Above the line on average: not a bound")
ax.legend(frameon=False, fontsize=8)
print(f"means: fixed {sum(fixed) / 60:.3f}, fresh {sum(fresh) / 60:.3f}; log p(x) {evidence:.3f}")

# %% [markdown]
# The rule is: **score with noise that was not used in the fit.**
#
# ## Exercises
#
# **1.** With q equal to the prior, the gap is $\mathrm{KL}(p(z) \,\|\, p(z \mid x))$. Give its value in nats for the
# first model (x = 2), to three digits.

# %% tags=["exercise-1"]
gap_at_the_prior = None

# %% tags=["check-1"]
if gap_at_the_prior is None:
    print("Exercise 1 is waiting for you.")
else:
    assert abs(gap_at_the_prior - (evidence - elbo(0.0, 1.0))) < 2e-3, "log p(x) less the ELBO of q = N(0, 1)"
    print("Exercise 1: right.")

# %% [markdown]
# **2.** Build a density with two peaks whose gap on the $z^2$ model is below 0.05 nats: write `log_q(z)`, a normalised
# log-density on the grid `z`. (A mixture of two Gaussians is `logaddexp` of two terms.)

# %% tags=["exercise-2"]
log_q = None

# %% tags=["check-2"]
if log_q is None:
    print("Exercise 2 is waiting for you.")
else:
    assert abs(torch.trapezoid(log_q(z).exp(), z) - 1) < 1e-3, "q must have area one, or nothing is bounded"
    left = evidence_square - elbo_on_grid(log_q(z))
    assert 0 <= left < 0.05, f"the gap is {left:.3f} nats"
    print("Exercise 2: right.", f"The gap is {left:.4f} nats.")

# %% [markdown]
# **3.** Write `is_lower_bound(values, truth)`: given independent noisy values of an estimator and the true log p(x),
# say `True` unless their mean lies above the truth by more than three standard errors.

# %% tags=["exercise-3"]
is_lower_bound = None

# %% tags=["check-3"]
if is_lower_bound is None:
    print("Exercise 3 is waiting for you.")
else:
    honest = evidence - 0.2 + torch.randn(400)  # many single values above the truth, their mean below
    assert is_lower_bound(honest, evidence), "single values may lie above: it is the mean that is bounded"
    assert is_lower_bound(evidence + 0.01 * (torch.arange(100.0) % 2 - 0.5), evidence), "a tight bound is a bound"
    assert not is_lower_bound(torch.tensor(fixed), evidence), "the fixed-noise values are no bound"
    print("Exercise 3: right.")
