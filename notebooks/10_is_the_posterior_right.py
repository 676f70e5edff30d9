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
# # 10 · Is the posterior right?
#
# [![Open Colab](https://colab.research.google.com/assets/colab-badge.svg)](https://colab.research.google.com/)
# (there: *Upload*, and choose this file)
#
# **The question.** A fast loop always returns *some* q, and its ELBO is always *some* number. How do we find out that
# q is not the posterior, when nobody knows the posterior? And how that the model itself is wrong?
#
# **At the end you will know**
#
# - simulation-based calibration: what flat ranks mean, and how to read those that are not,
# - Pareto k-hat: for *this* text, can these importance weights be trusted?
# - posterior predictive checks: would this model write such data at all?
# - which of the three finds which fault: two look at inference, one at the model.
#
# You need notebooks 1 and 7.

# %% tags=["install"]
import importlib.util
import subprocess
import sys

if importlib.util.find_spec("ltm_pyro") is None:  # on Colab, or in a new environment
    subprocess.run([sys.executable, "-m", "pip", "install", "--quiet", "ltm-pyro[notebooks]"], check=True)

# %%
import matplotlib.pyplot as plt
import pyro
import torch
from pyro import poutine

from ltm_pyro import ELBO, FastLoop, FullCovarianceGuide, MeanFieldGuide
from ltm_pyro.evaluation import pareto_k, simulation_based_calibration
from ltm_pyro.models.exact import LinearGaussian
from ltm_pyro.plots import plot_ranks

plt.rcParams.update({"figure.dpi": 80, "axes.spines.top": False, "axes.spines.right": False})
BLUE, ORANGE, GREEN, GREY = "#0072B2", "#D55E00", "#009E73", "0.5"
pyro.set_rng_seed(10)
toy = LinearGaussian(z_shape=(1, 1, 2), observed=2, noise=0.7)
with torch.no_grad():
    toy.weight.copy_(torch.tensor([[1.5, 1.5], [0.3, -0.3]]))  # its two thoughts depend on each other, given x

# %% [markdown]
# ## Simulation-based calibration
#
# The trick: on data that the *model itself* has written we do know the true z. Draw z* ~ p(z), then x ~ p(x | z*),
# fit q to x, draw z₁ … z_S from q, and count how many lie below z*. If q is the posterior, then z* is one more draw
# from it: its rank among the others is uniform on 0 … S, whatever the model (Talts et al., 2018).
#
# Watch it happen for a guide that *is* the posterior, and for three that are wrong in a way of their own.


# %%
class Distorted(torch.nn.Module):
    """The exact posterior's mean field, with its spread scaled and its mean moved: wrong on purpose."""

    def __init__(self, toy, spread=1.0, shift=0.0):
        super().__init__()
        self.toy, self.spread, self.shift = [toy], spread, shift

    def start(self, x, mask=None, prior=None):
        pass

    def local_parameters(self):
        return []

    def forward(self, x, mask=None, batch_size=None, previous=None):
        (toy,) = self.toy
        root = torch.linalg.cholesky(torch.linalg.inv(toy.precision())) * self.spread
        middle = toy.posterior_mean(x) + self.shift * root.diagonal()
        q = pyro.distributions.MultivariateNormal(middle, scale_tril=root)
        with pyro.plate("sequences", len(x), dim=-1):
            shaped = pyro.distributions.TransformedDistribution(
                q, [torch.distributions.ReshapeTransform(torch.Size([2]), torch.Size(toy.z_shape))]
            )
            return pyro.sample("z", shaped)


nothing = FastLoop(ELBO(), steps=0)  # these guides have nothing to fit
suspects = {
    "exact": Distorted(toy),
    "too narrow": Distorted(toy, spread=0.6),
    "too wide": Distorted(toy, spread=1.6),
    "shifted": Distorted(toy, shift=0.5),
}
sbc = {
    name: simulation_based_calibration(toy, guide, nothing, simulations=400, batch=100)
    for name, guide in suspects.items()
}


# %%
def draw_ranks(name, calibration, axes):
    plot_ranks(calibration.histograms[:1], axes)
    axes.set(title=f"{name}: p = {calibration.p_value:.1g}", xlabel="rank of the truth, as a fraction", ylabel="")


figure, panels = plt.subplots(1, 4, figsize=(12, 3), layout="constrained")
for (name, calibration), axes in zip(sbc.items(), panels, strict=True):
    draw_ranks(name, calibration, axes)
panels[0].set_ylabel("simulations")
panels[0].legend(frameon=False, fontsize=8)
plt.show()

# %% tags=["slider"]
from ipywidgets import FloatSlider, interact


def look(spread=0.8, shift=0.0):
    guide = Distorted(toy, spread, shift)
    calibration = simulation_based_calibration(toy, guide, nothing, simulations=400, batch=100)
    _, axes = plt.subplots(figsize=(4, 3), layout="constrained")
    draw_ranks(f"spread {spread:g}, shift {shift:g}", calibration, axes)
    plt.show()


interact(
    look,
    spread=FloatSlider(value=0.8, min=0.4, max=1.8, step=0.1, continuous_update=False),
    shift=FloatSlider(value=0.0, min=-1.0, max=1.0, step=0.1, continuous_update=False),
)

# %% [markdown]
# - **Too narrow**: the truth falls outside too often; ranks pile up at *both ends*, a ∪.
# - **Too wide**: it falls in the middle too often, a ∩.
# - **Shifted**: it falls to one side.
# - **Exact**: within the grey band, where 99 % of the bins of uniform ranks lie.
#
# Try with the slider how small a fault 400 simulations still find.
#
# p is the least p-value of all statistics that were ranked (coordinates, random projections, the norm, and log p(x |
# z)), corrected for their number: below 0.01, q is not the posterior.
#
# ## A real fast loop on trial
#
# Now guides that are *fitted*: the mean field, and a full covariance with a short and with a long fast loop.

# %%
long = FastLoop(ELBO(particles=8), steps=200, learning_rate=0.3, final_fraction=0.02)
on_trial = {
    "mean field, 200 steps": (MeanFieldGuide(toy.z_shape), long),
    "full covariance, 20 steps": (FullCovarianceGuide(toy.z_shape), long.lasting(20)),
    "full covariance, 200 steps": (FullCovarianceGuide(toy.z_shape), long),
}
fitted = {
    name: simulation_based_calibration(toy, guide, loop, simulations=400, batch=400)
    for name, (guide, loop) in on_trial.items()
}
print(fitted["mean field, 200 steps"].markdown())

# %%
figure, panels = plt.subplots(1, 3, figsize=(12, 3.2), layout="constrained")
for (name, calibration), axes in zip(fitted.items(), panels, strict=True):
    chosen = [calibration.names.index(f"projection {i}") for i in (1, 2, 3)]
    plot_ranks(calibration.histograms[chosen], axes, names=[calibration.names[i] for i in chosen])
    axes.set(title=f"{name}: p = {calibration.p_value:.1g}", xlabel="rank of the truth, as a fraction", ylabel="")
panels[0].set_ylabel("simulations")
panels[0].legend(frameon=False, fontsize=7)
plt.show()

# %% [markdown]
# The mean field is caught, however long it is fitted: it is too narrow along some directions, as notebook 7 showed,
# and here we found out *without knowing the posterior*. The full covariance is caught too, as long as its fast loop
# is short. SBC judges family and loop together; only the last pair is a posterior as far as 400 simulations can tell.
# And it judges on average over texts that the model writes; about one text of yours it says nothing. For that:
#
# ## Pareto k-hat: may I trust the weights of this text?
#
# Importance weights w = p(x, z) / q(z) correct q, if q reaches everywhere that matters. When it does not, a few huge
# weights carry everything, *and those are the ones that have not been drawn yet*: the estimate looks calm until the
# day it jumps. k-hat fits a Pareto tail to the largest weights (Vehtari et al., 2024). Below 0.5 all is well, up to
# 0.7 it works, above it do not believe the number.


# %%
def log_weights(model, guide, x, draws):
    """log p(x, z) - log q(z) of fresh draws from q, shape (draws, B)."""
    with torch.no_grad(), pyro.plate("particles", draws, dim=-2):
        q = poutine.trace(guide).get_trace(x)
        p = poutine.trace(poutine.replay(model, trace=q)).get_trace(x)
    for trace in (q, p):
        trace.compute_log_prob()
    return p.nodes["z"]["log_prob"] + p.nodes["x"]["log_prob"] - q.nodes["z"]["log_prob"]


spreads = [0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0, 1.2, 1.5]
x = toy(batch_size=1).detach()
k_hats, errors = [], []
for spread in spreads:
    repeated = x.expand(100, -1)  # 100 estimates of log p(x), of 1,000 draws each
    log_w = log_weights(toy, Distorted(toy, spread), repeated, 1000)
    estimates = log_w.logsumexp(0) - torch.tensor(1000.0).log()
    errors.append((estimates - toy.evidence(x)).detach())
    k_hats.append(pareto_k(log_w[:, :20].detach().numpy()))

# %%
figure, (above, below) = plt.subplots(2, 1, figsize=(6.5, 4.8), sharex=True, layout="constrained")
above.plot(spreads, [k.clip(-0.5) for k in k_hats], ".", color=BLUE, alpha=0.5)
for limit, style in ((0.5, ":"), (0.7, "--")):
    above.axhline(limit, color=ORANGE, linestyle=style, linewidth=1)
above.set(ylabel="k-hat of 1,000 draws")
below.plot(spreads, errors, ".", color=GREY, alpha=0.5)
below.axhline(0, color=ORANGE, linewidth=1)
below.set(xlabel="standard deviations of q over the posterior's", ylabel="estimate - log p(x), nats")
plt.show()

# %% [markdown]
# Left of the crossing, where k-hat exceeds 0.7, the 100 estimates lie *below* the truth nearly always, and now and
# then far above. Their scatter would not have told: most of them agree with each other, and are wrong together. Right
# of it, all hundred are right. A q that is too wide is harmless; one too narrow is not.
#
# With an exact posterior all weights are the same, and k-hat is minus infinity; wider ones have bounded weights, and a
# k-hat far below zero (both are drawn at the lower edge).
#
# ## Posterior predictive checks: is the *model* right?
#
# So far the model was beyond doubt: it had written the data. Suppose that real sequences have outliers, which a
# Gaussian likelihood does not. Inference can now be perfect, and calibrated, and the model wrong all the same. The
# question becomes: would the fitted model write data that look like mine?

# %%
honest = toy(batch_size=300).detach()
outliers = honest.clone()
hit = torch.rand(300) < 0.08
outliers[hit, 1] += 4.0 * torch.randn(int(hit.sum()), dtype=torch.float64)


def replicated(toy, x, copies=200):
    """Observations drawn anew from the model, given the exact posterior of each sequence, shape (copies, B, observed)."""
    with torch.no_grad(), pyro.plate("particles", copies, dim=-2):
        z = toy.exact_guide()(x)
        return poutine.condition(toy, data={"z": z})(batch_size=len(x))


def largest_surprise(x):
    """The statistic: how far the second number of a sequence lies from the others' median, the largest of all."""
    column = x[..., 1]
    return (column - column.median(-1, keepdim=True).values).abs().max(-1).values


# %%
figure, panels = plt.subplots(1, 2, figsize=(9, 3), sharey=True, layout="constrained")
for (name, data), axes in zip({"as the model writes": honest, "with outliers": outliers}.items(), panels, strict=True):
    again, seen = largest_surprise(replicated(toy, data)), largest_surprise(data)
    share = (again >= seen).double().mean()
    axes.hist(again.numpy(), bins=30, color=BLUE, alpha=0.6, label="written by the model")
    axes.axvline(seen, color=ORANGE, linewidth=2, label="the data")
    axes.set(title=f"{name}: {share:.0%} as extreme", xlabel="largest distance from the median")
panels[0].legend(frameon=False)
panels[0].set_yticks([])
plt.show()

# %% [markdown]
# On the right the model, even after it has seen the data, cannot write what it saw: the outliers are not its kind. No
# guide, no number of fast steps and no tighter bound mends that; another likelihood does.
#
# Choose statistics that the model was *not* fitted to. Here is one that sees nothing: the mean of all numbers, which
# the posterior follows wherever the data go.

# %%
figure, axes = plt.subplots(figsize=(4.5, 2.8), layout="constrained")
again, seen = replicated(toy, outliers).mean((-1, -2)), outliers.mean()
axes.hist(again.numpy(), bins=30, color=BLUE, alpha=0.6)
axes.axvline(seen, color=ORANGE, linewidth=2)
axes.set(title=f"{(again >= seen).double().mean():.0%} as large", xlabel="mean of all numbers", yticks=[])
plt.show()

# %% [markdown]
# ## Which tool for which fault
#
# | | asks | on which data | a failure blames |
# | --- | --- | --- | --- |
# | SBC | are posteriors posteriors, on average? | simulated | guide or fast loop |
# | k-hat | do these weights reach far enough? | one text | the guide, for this text |
# | predictive check | would the model write this? | yours | the model |
#
# On runs: `ltm compare bounds RUN` draws k-hat by text, `ltm compare guides RUN` lists it for every guide, and
# `simulation_based_calibration` takes a language model as it took this toy.

# %% [markdown]
# ## Exercises
#
# **1.** Ranks of one statistic are given below. What is wrong with q: `"narrow"`, `"wide"`, `"shifted"` or
# `"nothing"`? Answer from the picture that you draw of them, not by trying.

# %%
pyro.set_rng_seed(1)
mystery = simulation_based_calibration(toy, Distorted(toy, spread=1.45), nothing, simulations=400, batch=100)

# %% tags=["exercise-1"]
verdict = None  # your answer

# %% tags=["check-1"]
if verdict is None:
    print("Exercise 1 is waiting for you.")
else:
    spread = float(mystery.spread[0])
    right = "narrow" if spread > 1.2 else "wide" if spread < 0.8 else "nothing"
    assert verdict == right, f"the ranks vary {spread:.2f} times as much as uniform ones do: where do they pile up?"
    print("Exercise 1: right.")

# %% [markdown]
# **2.** Write `effective_size(log_w)`, the effective sample size 1 / Σ w̃² of each column of log-weights (S, B),
# without overflow for log-weights of a thousand.


# %% tags=["exercise-2"]
def effective_size(log_w):
    return None  # your answer


# %% tags=["check-2"]
if effective_size(torch.zeros(4, 2)) is None:
    print("Exercise 2 is waiting for you.")
else:
    uneven = torch.tensor([[1000.0, 0.0], [1000.0, -2000.0], [-1000.0, -2000.0]])
    assert torch.allclose(effective_size(uneven), torch.tensor([2.0, 1.0])), "two equal weights count as two"
    assert torch.allclose(effective_size(torch.zeros(7, 3)), torch.full((3,), 7.0)), "equal weights all count"
    print("Exercise 2: right.")

# %% [markdown]
# **3.** A guide that ignores the text and always returns the *prior* has flat ranks in every coordinate of z! (Why?)
# Which of the ranked statistics finds it out? Give its name, as in `fitted["mean field, 200 steps"].names`.

# %% tags=["exercise-3"]
finds_it = None  # your answer

# %% tags=["check-3"]
if finds_it is None:
    print("Exercise 3 is waiting for you.")
else:
    lazy = simulation_based_calibration(toy, MeanFieldGuide(toy.z_shape), nothing, simulations=400, batch=100)
    p = dict(zip(lazy.names, lazy.corrected, strict=True))
    assert finds_it in p, f"expected one of {', '.join(p)}"
    assert p[finds_it] < 0.01, f"its p-value is {p[finds_it]:.2f}: with the prior as q its ranks are uniform too"
    print("Exercise 3: right.")

# %% [markdown]
# Worked solutions stand in `solutions/10_is_the_posterior_right.py`. Next: 11, what is in a thought?
