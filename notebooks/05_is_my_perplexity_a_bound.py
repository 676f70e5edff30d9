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
# # 5 · Is my perplexity a bound?
#
# [![Open Colab](https://colab.research.google.com/assets/colab-badge.svg)](https://colab.research.google.com/)
# (there: *Upload*, and choose this file)
#
# **The question.** A latent-variable model reports a perplexity of 3. Is that number its perplexity, a bound on it, or
# neither?
#
# **At the end you will know**
#
# - how a number that looks like an ELBO falls below the true cost when q is fitted to the noise with which it is
#   scored,
# - why that number can then be arbitrarily low, even on texts in which there is nothing to learn,
# - which of the ELBO, importance-weighted, prior and predictive numbers bounds which cost, and how far they lie apart,
# - two definitions of the perplexity of a corpus, and which of them is usual.
#
# This notebook builds on notebooks 1 and 4.

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
import torch

from ltm_pyro import (
    ELBO,
    Decoder,
    DualRateSVI,
    FastLoop,
    FixedNoise,
    GaussianPrior,
    ImportanceWeighted,
    LatentThoughtModel,
    MeanFieldGuide,
    SlowStep,
)
from ltm_pyro.data import Batch
from ltm_pyro.evaluation import Evaluator
from ltm_pyro.models.exact import LinearGaussian

plt.rcParams.update({"figure.dpi": 80, "axes.spines.top": False, "axes.spines.right": False})
BLUE, ORANGE, GREEN, PINK, GREY = "#0072B2", "#D55E00", "#009E73", "#CC79A7", "0.5"

# %% [markdown]
# ## Two protocols
#
# The ELBO is a mean over draws $z = \mu + \sigma\epsilon$ of q, and is estimated from a few draws. There are two
# protocols:
#
# - **fresh noise**: every step of the fit uses a new $\epsilon$, and so does the reported number;
# - **fixed noise**: one $\epsilon$ is drawn, q is fitted with it, and *the same* $\epsilon$ is used for the reported
#   number.
#
# The second protocol looks harmless and is less noisy, and the released code of the Latent Thought Models paper uses
# it. A model whose evidence is known shows its effect. `FixedNoise` implements this protocol; after its fit we also
# compute the exact ELBO of the q that it found.

# %%
pyro.set_rng_seed(5)
toy = LinearGaussian(z_shape=(1, 1, 8), observed=8, noise=0.7, batch=64)
truth = -toy.evidence(toy.x).mean()


def both(objective, steps):
    """The protocol's cost after so many steps, and the exact ELBO's of its q: means over the 64 texts."""
    guide = MeanFieldGuide(toy.z_shape)
    FastLoop(objective, steps, learning_rate=0.1).fit(toy, guide, toy.x)
    q = guide.posterior().base_dist
    with torch.no_grad():
        reported = -objective.terms(toy, guide, toy.x).objective.mean()
    return reported.item(), -toy.elbo(toy.x, q.loc.double(), q.scale.double()).mean().item()


settings = [0, 5, 10, 20, 40, 80, 160, 320]
fixed = torch.tensor([both(FixedNoise(ELBO()), steps) for steps in settings])
fresh = torch.tensor([both(ELBO(), steps) for steps in settings])

# %%
figure, axes = plt.subplots(figsize=(7, 3.2), layout="constrained")
axes.plot(fixed[:, 0], "o-", color=ORANGE, label="fixed noise: reported")
axes.plot(fixed[:, 1], "o--", color=ORANGE, label="fixed noise: the exact ELBO of that q")
axes.plot(fresh[:, 0], "o-", color=BLUE, label="fresh noise: reported")
axes.plot(fresh[:, 1], "o--", color=BLUE, label="fresh noise: the exact ELBO of that q")
axes.axhline(truth, color="black", linestyle=":", label="truth, -log p(x)")
axes.set(xticks=range(len(settings)), xticklabels=settings, xlabel="fast steps", ylabel="cost, nats a text")
axes.set(yscale="log", yticks=(10, 20, 50, 100, 200), yticklabels=(10, 20, 50, 100, 200))
axes.minorticks_off()
axes.legend(frameon=False, fontsize=8, loc="upper left", bbox_to_anchor=(1, 1))
plt.show()

# %% [markdown]
# With fresh noise the reported cost is that of the ELBO, up to the noise of a draw, and it stays above the true cost.
# With fixed noise the reported cost falls *below the true cost*, and continues to fall, while the true ELBO of that q
# does not improve: **the number improves because q is fitted to its noise, not to its text.**
#
# ## How q is fitted to its noise
#
# In one dimension we can plot this. If ε is fixed, μ need not be near the posterior at all: it moves until the single
# point $\mu + \sigma\epsilon$ has a high likelihood. Nothing then keeps q as wide as the posterior.

# %%
pyro.set_rng_seed(1)
line = LinearGaussian(z_shape=(1, 1, 1), observed=3, noise=0.5, batch=1)


def draw_fit(seed, axes):
    centre = line.posterior_mean(line.x).squeeze().detach()
    grid = centre + torch.linspace(-2.5, 2.5, 400, dtype=torch.float64)
    exact = torch.distributions.Normal(centre, line.precision().detach() ** -0.5)
    axes.plot(grid, exact.log_prob(grid).exp().flatten(), color="black", linestyle=":", label="p(z | x)")
    for objective, colour, name in ((ELBO(), BLUE, "fresh"), (FixedNoise(ELBO(), seed), ORANGE, "fixed")):
        pyro.set_rng_seed(seed)
        guide = MeanFieldGuide(line.z_shape)
        FastLoop(objective, 300, learning_rate=0.1).fit(line, guide, line.x)
        q = guide.posterior().base_dist
        axes.plot(grid, q.log_prob(grid[:, None, None, None, None]).exp().flatten().detach(), color=colour, label=name)
    axes.set(title=f"noise {seed}", xlabel="z", yticks=[])
    return axes


figure, panels = plt.subplots(1, 4, figsize=(11, 2.4), layout="constrained", sharey=True)
for seed, axes in enumerate(panels):
    draw_fit(seed, axes)
panels[0].legend(frameon=False, fontsize=8)
panels[0].set_ylabel("density")
plt.show()

# %% tags=["slider"]
import ipywidgets


def look(seed=0):
    draw_fit(seed, plt.subplots(figsize=(4.5, 2.6), layout="constrained")[1]).legend(frameon=False)
    plt.show()


ipywidgets.interact(look, seed=ipywidgets.IntSlider(value=0, min=0, max=30, continuous_update=False))

# %% [markdown]
# With fresh noise q is the posterior, whatever the seed. With fixed noise q differs for each seed: it is too wide or
# far too narrow.
#
# ## On a language model
#
# We use the language of notebooks 3 and 4, whose true cost is known, and a small Latent Thought Model that was trained
# on it with fresh noise in both loops.

# %%
TOPICS, WORDS, LENGTH = 4, 8, 16
chances = torch.full((TOPICS, WORDS), 0.2 / 6)
for topic in range(TOPICS):
    chances[topic, 2 * topic : 2 * topic + 2] = 0.4


def write_texts(count):
    return torch.multinomial(chances[torch.randint(TOPICS, (count,))], LENGTH, replacement=True)


def train(write, objective, thoughts=1, window=4, fast_steps=8, steps=120):
    pyro.set_rng_seed(5)
    decoder = Decoder(vocabulary=WORDS, width=16, layers=2, heads=2, thoughts=thoughts, window=window, length=LENGTH)
    model, guide = LatentThoughtModel(GaussianPrior(decoder.z_shape), decoder), MeanFieldGuide(decoder.z_shape)
    svi = DualRateSVI(model, guide, FastLoop(objective, fast_steps), SlowStep(objective, 0.01, steps, weight_decay=0.0))
    for _ in range(steps):
        svi.step(write(32))
    return model, guide


model, guide = train(write_texts, ELBO(), fast_steps=16, steps=200)
pyro.set_rng_seed(55)
texts = write_texts(400)
true_cost = -(chances.log()[:, texts].sum(-1) - math.log(TOPICS)).logsumexp(0)  # -log p(x), (N,)


# %% [markdown]
# The figure shows all numbers of the model on 400 held-out texts, each minus the true cost, paired by text. The fast
# loop has 64 steps. The fixed noise is drawn four times, since a single draw could be an exception; the bars are two
# standard errors over texts.


# %%
@torch.no_grad()
def fixed_cost(model, guide, x, seed, steps=64):
    """The cost that the fixed-noise protocol reports, nats a text, (N,)."""
    objective = FixedNoise(ELBO(), seed)
    FastLoop(objective, steps).fit(model, guide, x)
    return -objective.terms(model, guide, x).objective


reports = torch.stack([fixed_cost(model, guide, texts, seed) for seed in range(4)])  # (4, N)
FastLoop(ELBO(), 64).fit(model, guide, texts)
with torch.no_grad():
    numbers = {"fixed noise, mean of 4": reports.mean(0)}
    for draws in (64, 8):
        bound = ImportanceWeighted(draws)
        numbers[f"importance-weighted, {draws} draws"] = -bound.terms(model, guide, texts).objective
    numbers["ELBO"] = -ELBO(16).terms(model, guide, texts).elbo
    guide.start(texts, prior=model.prior())  # q is the prior: nothing fitted
    numbers["z from the prior"] = -ELBO(16).terms(model, guide, texts).elbo

# %%
figure, axes = plt.subplots(figsize=(8, 2.6), layout="constrained")
for row, (name, cost) in enumerate(numbers.items()):
    above = cost - true_cost
    colour = ORANGE if "fixed" in name else BLUE
    axes.errorbar(above.mean(), row, xerr=2 * above.std() / len(texts) ** 0.5, fmt="o", color=colour)
axes.axvline(0, color="black", linestyle=":")
axes.annotate("the truth", (0, 4.3), ha="center", fontsize=8)
axes.set_yticks(range(len(numbers)), list(numbers))
axes.set(xlabel="above the truth, nats a text", ylim=(-0.5, 4.7))
plt.show()
below = (reports - true_cost).mean(0)
error = below.std() / len(texts) ** 0.5
print("fixed noise less the truth, each draw:", [round(draw.item(), 2) for draw in (reports - true_cost).mean(1)])
print(f"their mean: {below.mean():.3f} ± {error:.3f} nats a text")
assert below.mean() + 2 * error < 0 < (numbers["importance-weighted, 64 draws"] - true_cost).mean()

# %% [markdown]
# No model can cost less than the true distribution on average: a number below the true cost is not a bound. Here the
# fixed-noise number lies below it, by many standard errors and with each draw. The valid bounds show how far the model
# really is from the truth. They all lie above the true cost, in the order that theory requires: prior, ELBO,
# importance-weighted with more draws.
#
# ## Why a number near 3 can mean nothing
#
# How low can the fixed-noise number be? Take texts of *random* words: each of the eight words is equally likely,
# whatever precedes it. There is nothing to learn, and no model has a perplexity below 8. We also *train* with the fixed
# noise, as the released code does. The decoder then learns to decode information that q puts into z without paying for
# it in the KL.


# %%
def random_texts(count):
    return torch.randint(WORDS, (count, LENGTH))


smuggler, its_guide = train(random_texts, FixedNoise(ELBO()), thoughts=2, window=1, fast_steps=16)
nothing = random_texts(100)


@torch.no_grad()
def perplexities(steps):
    """Of random texts, after so many fast steps: what fixed noise reports, and the ELBO of the same q, fresh."""
    reported = fixed_cost(smuggler, its_guide, nothing, seed=50, steps=steps)
    honest = -ELBO(16).terms(smuggler, its_guide, nothing).elbo
    return [math.exp(cost.sum() / nothing.numel()) for cost in (reported, honest)]


dial = [16, 32, 64, 128, 256]
found = torch.tensor([perplexities(steps) for steps in dial])

# %%
figure, axes = plt.subplots(figsize=(6, 3), layout="constrained")
axes.semilogy(found[:, 1], "o-", color=BLUE, label="the same q, fresh noise")
axes.semilogy(found[:, 0], "o-", color=ORANGE, label="fixed noise: reported")
axes.axhline(8, color="black", linestyle=":", label="the best there is, 8")
axes.set(xticks=range(len(dial)), xticklabels=dial, yticks=(4, 8, 16, 32), yticklabels=(4, 8, 16, 32))
axes.set(xlabel="fast steps", ylabel="perplexity of random texts")
axes.minorticks_off()
axes.legend(frameon=False)
plt.show()
print("reported:", [round(p, 2) for p in found[:, 0].tolist()])

# %% [markdown]
# The longer q is fitted, the further the reported perplexity falls below 8, the lowest possible value. The ELBO of the
# same q with fresh noise shows the real quality of the model: it is worse than guessing uniformly. With more thoughts
# and more fast steps the reported number can be lower still; a low value says nothing about the model.
#
# ## All numbers in one call
#
# `Evaluator` computes the four numbers together and, only if asked, the fixed-noise protocol beside them. On a run,
# `ltm evaluate` prints the same. The *predictive* number answers a different question from the others: q is fitted on
# the first half of a text only, and the second half is scored. It is the number that applies to generation, and it is
# the exact cost of a predictor.

# %%
numbers_of = Evaluator(model, guide, FastLoop(ELBO(), 64), draws=16, fixed_noise=True)
some = texts[:200]  # as a batch: no mask, word 0 before each, one byte a word
batch = Batch(some, None, torch.zeros_like(some[:, 0]), torch.arange(200), torch.ones_like(some))
evaluation = numbers_of.evaluate([batch])
for name, score in evaluation.scores.items():
    print(f"{name:>20}: {score.nats_per_token:.3f} ± {score.standard_error:.3f} nats/token")

# %% [markdown]
# ## Which mean?
#
# The perplexity of a corpus is exp(all nats / all tokens). The mean over texts of exp(nats / tokens) is a different
# number, and never lower for texts of equal length; the released code reports it. Compare only numbers of the same
# definition.

# %%
per_text = numbers["ELBO"] / LENGTH
print(f"exp of the mean {per_text.mean().exp():.3f}, mean of the exps {per_text.exp().mean():.3f}")

# %% [markdown]
# ## Exercises
#
# **1.** Which of these bound the cost -log p(x) from above, on average over their noise? Answer with a set of their names:
# `"prior"`, `"elbo"`, `"importance-weighted"`, `"reconstruction"` (the mean of -log p(x | z) under q), `"fixed noise"`.

# %% tags=["exercise-1"]
upper_bounds = None  # your answer

# %% tags=["check-1"]
if upper_bounds is None:
    print("Exercise 1 is waiting for you.")
else:
    assert "reconstruction" not in upper_bounds, "it leaves out the KL: a q that says all has a reconstruction of 0"
    assert "fixed noise" not in upper_bounds, "you have just seen it below the truth"
    assert upper_bounds == {"prior", "elbo", "importance-weighted"}, (
        "one is missing: with q = p the ELBO is the prior's"
    )
    print("Exercise 1: right.")

# %% [markdown]
# **2.** Write the perplexity of a corpus, from the nats and the tokens of its texts, each (N,).


# %% tags=["exercise-2"]
def perplexity(nats, tokens):
    return None  # your answer


# %% tags=["check-2"]
nats, tokens = torch.tensor([10.0, 300.0]), torch.tensor([2.0, 100.0])
if perplexity(nats, tokens) is None:
    print("Exercise 2 is waiting for you.")
else:
    mine = float(perplexity(nats, tokens))
    assert abs(mine - math.exp(310 / 102)) < 1e-3, "sum both over the corpus, divide, then take the exponential"
    print("Exercise 2: right.")

# %% [markdown]
# **3.** Write `report(model, guide, x)`: the cost of every text by the ELBO with *fresh* noise, in nats, shape (N,),
# for a guide that was fitted with fixed noise, as above.


# %% tags=["exercise-3"]
def report(model, guide, x):
    return None  # your answer


# %% tags=["check-3"]
cheat = fixed_cost(model, guide, texts, seed=3)  # leaves the guide fitted
torch.manual_seed(5)
with torch.no_grad():
    mine = report(model, guide, texts)
if mine is None:
    print("Exercise 3 is waiting for you.")
else:
    assert mine.shape == (len(texts),), "one number a text"
    assert (mine - true_cost).mean() > 0, "below the truth: that is still the noise that q was fitted to"
    print(f"Exercise 3: right. The honest cost is {(mine - cheat).mean():.1f} nats a text above the report.")

# %% [markdown]
# Worked solutions stand in `solutions/05_is_my_perplexity_a_bound.py`. Next: 6, choosing a prior.
