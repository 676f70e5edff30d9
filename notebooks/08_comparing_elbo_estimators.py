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
# # 8 · Is a tighter bound a better one?
#
# [![Open Colab](https://colab.research.google.com/assets/colab-badge.svg)](https://colab.research.google.com/)
# (there: *Upload*, and choose this file)
#
# **The question.** With more particles the importance-weighted bound comes arbitrarily close to log p(x). Why does
# nobody train with a thousand particles?
#
# **At the end you will know**
#
# - that the *tightness* of a bound and the *quality of its gradient* are two different properties, and how to measure
#   both,
# - why more particles can harm the fit of the posterior while they help the weights,
# - what sticking the landing and double reparameterisation change, and when,
# - how to compare any estimators, including your own, in one call.
#
# This notebook builds on notebook 1 (bounds) and notebook 4 (the fast loop). Throughout, γ are the local parameters of
# q, one row per sequence, and θ are the weights of the model.

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
    DoublyReparameterised,
    FastLoop,
    ImportanceWeighted,
    InputError,
    MeanFieldGuide,
    Reparameterised,
    StickingTheLanding,
)
from ltm_pyro.models.exact import LinearGaussian

pyro.set_rng_seed(8)
plt.rcParams.update({"figure.dpi": 80, "axes.spines.top": False, "axes.spines.right": False})
BLUE, ORANGE, GREEN, GREY = "#0072B2", "#D55E00", "#009E73", "0.5"
toy = LinearGaussian(z_shape=(1, 2, 2), observed=4, noise=0.8, batch=1)
with torch.no_grad():
    toy.weight.copy_(torch.diag(torch.tensor([2.0, 1.0, 0.5, 1.5])))  # the posterior's covariance is diagonal

# %% [markdown]
# The model is linear and Gaussian, with a posterior that a mean field can represent: everything below can be checked.
#
# ## Tightness
#
# We shift q a little from the optimum, as in the middle of a fit, and estimate each bound many times. The whole
# notebook uses one trick: a batch of N copies of one sequence, each with its own row of γ and its own noise, gives N
# independent repetitions in one pass.


# %%
def placed(toy, copies, off=0.1, wide=1.4):
    """A guide near the best diagonal Gaussian, and N copies of the first sequence."""
    x = toy.x[:1].expand(copies, -1)
    guide = MeanFieldGuide(toy.z_shape)
    guide.start(x, prior=toy.prior())
    mu, sigma = toy.best_mean_field(x)
    with torch.no_grad():
        guide.mu.copy_(mu + off)
        guide.log_sigma.copy_((wide * sigma).log())
    return guide, x


guide, x = placed(toy, copies=2000)
particles = [1, 2, 4, 8, 16, 32, 64]
with torch.no_grad():
    values = {S: ImportanceWeighted(S).terms(toy, guide, x).bound for S in particles}
evidence = toy.evidence(x[:1]).item()


# %%
def draw_tightness(values):
    _, axes = plt.subplots(figsize=(6, 3.5), layout="constrained")
    axes.axhline(evidence, color=ORANGE, label="log p(x), exact")
    means = [v.mean() for v in values.values()]
    axes.plot(particles, means, "o-", color=BLUE, label="importance-weighted, mean of 2,000")
    low, high = ([v.quantile(share) for v in values.values()] for share in (0.1, 0.9))
    axes.fill_between(particles, low, high, color=BLUE, alpha=0.15, label="the middle 80 % of them")
    axes.set_xscale("log", base=2)
    axes.set_xticks(particles, [str(S) for S in particles])
    axes.set(xlabel="particles S", ylabel="nats")
    axes.legend(frameon=False)
    plt.show()


draw_tightness(values)

# %% [markdown]
# Move q further from the optimum, or make it too wide or too narrow: how many particles compensate for that?

# %% tags=["slider"]
from ipywidgets import FloatSlider, interact


def look(off=0.1, wide=1.4):
    guide, x = placed(toy, copies=2000, off=off, wide=wide)
    with torch.no_grad():
        draw_tightness({S: ImportanceWeighted(S).terms(toy, guide, x).bound for S in particles})


def slider(value, low, high):
    return FloatSlider(value=value, min=low, max=high, step=0.1, continuous_update=False)


interact(look, off=slider(0.1, 0.0, 1.0), wide=slider(1.4, 0.4, 2.5))

# %% [markdown]
# With every particle the importance-weighted bound is tighter and less noisy. As a *number to report* it is better than
# the ELBO at every S > 1. (With one particle it is the ELBO.)
#
# ## The gradient's signal-to-noise ratio
#
# The fast loop uses the gradient of a bound, not its value. A gradient estimate is good if its mean, the signal, is
# large compared with its standard deviation, the noise:
#
# $$\mathrm{SNR} = \frac{\lVert \mathbb{E}\, g \rVert}{\sqrt{\mathrm{tr}\, \mathrm{Var}\, g}} .$$


# %%
def gradients(bound, toy, copies=4000, **place):
    """N independent gradients of the objective by γ, shape (N, numbers in γ)."""
    guide, x = placed(toy, copies, **place)
    rows = guide.local_parameters()
    objective = bound.terms(toy, guide, x).objective.sum()
    return torch.cat([slope.flatten(1) for slope in torch.autograd.grad(objective, rows)], 1)


def signal_to_noise(g):
    """‖mean‖ / √(sum of variances); what the noise adds to ‖mean‖² is taken off."""
    noise = g.var(0).sum()
    signal = (g.mean(0).square().sum() - noise / len(g)).clamp(min=0)
    return (signal / noise).sqrt().item()


estimators = {
    "Reparameterised": lambda S: ImportanceWeighted(S, gradient=Reparameterised()),
    "DoublyReparameterised": lambda S: ImportanceWeighted(S, gradient=DoublyReparameterised()),
}
snr = {name: [signal_to_noise(gradients(make(S), toy)) for S in particles] for name, make in estimators.items()}

# %%
figure, axes = plt.subplots(figsize=(6, 3.8), layout="constrained")
for (name, ratios), colour, marker in zip(snr.items(), (ORANGE, GREEN), "os", strict=True):
    slope = math.log(ratios[-1] / ratios[2]) / math.log(particles[-1] / particles[2])
    axes.plot(particles, ratios, marker + "-", color=colour, label=f"γ, {name}: slope {slope:+.2f} from S = 4 on")
axes.set_xscale("log", base=2)
axes.set_yscale("log")
axes.set_xticks(particles, [str(S) for S in particles])
axes.set(xlabel="particles S", ylabel="signal-to-noise ratio of one gradient")
axes.legend(frameon=False)
plt.show()

# %% [markdown]
# The tighter the bound, the *lower* the signal-to-noise ratio of the usual gradient of γ. The reason is simple
# (Rainforth et al., 2018): as S grows, the bound approaches log p(x) *for every q*, so that its gradient with respect
# to γ vanishes like 1/S, while the noise falls only like 1/√S. Their ratio falls like 1/√S.
#
# The doubly reparameterised gradient (Tucker et al., 2019) has the same mean. It replaces the noisy term by another
# path derivative, and its ratio *rises* like √S. The slopes in the figure agree with the theory, -1/2 and +1/2, up to
# the effects of a finite S.
#
# The next figure shows the effect of a low ratio. It projects single gradients on the true direction. Those left of
# zero point in the wrong direction.

# %%
figure, panels = plt.subplots(1, 2, figsize=(8.5, 3), layout="constrained")
for axes, S in zip(panels, (1, 64), strict=True):
    for (name, make), colour in zip(estimators.items(), (ORANGE, GREEN), strict=True):
        g = gradients(make(S), toy)
        direction = gradients(estimators["DoublyReparameterised"](S), toy, copies=20_000).mean(0)
        along = g @ direction / direction.square().sum()
        wrong = (along < 0).double().mean()
        axes.hist(along.numpy(), bins=80, range=(-6, 8), histtype="step", color=colour, density=True,
                  label=f"{name}: {wrong:.0%} wrong way")  # fmt: skip
    axes.axvline(1, color=GREY, linewidth=0.8)
    axes.set(title=f"S = {S}", xlabel="gradient along its true mean (1 is exact)")
    axes.legend(frameon=False, fontsize=8, loc="upper left")
    axes.set_yticks([])
plt.show()

# %% [markdown]
# ## More particles, better weights
#
# This does not hold for θ. The gradient of the weights does not vanish with S, because log p(x) itself depends on them,
# so that its ratio rises like √S: more particles harm the gradient of γ and improve that of θ.


# %%
def weight_gradients(bound, toy, repeats=300):
    """N independent gradients by the model's weights."""
    guide, x = placed(toy, 1)
    found = []
    for _ in range(repeats):
        objective = bound.terms(toy, guide, x).objective.sum()
        found.append(torch.cat([slope.flatten() for slope in torch.autograd.grad(objective, list(toy.parameters()))]))
    return torch.stack(found)


sizes = [1, 4, 16, 64]
of_weights = [signal_to_noise(weight_gradients(ImportanceWeighted(S), toy)) for S in sizes]

# %%
figure, axes = plt.subplots(figsize=(6, 3.2), layout="constrained")
axes.plot(sizes, of_weights, "^-", color=BLUE, label="θ, the weights")
axes.plot(particles, snr["Reparameterised"], "o-", color=ORANGE, label="γ, Reparameterised")
axes.set_xscale("log", base=2)
axes.set_yscale("log")
axes.set_xticks(particles, [str(S) for S in particles])
axes.set(xlabel="particles S", ylabel="signal-to-noise ratio")
axes.legend(frameon=False)
plt.show()

# %% [markdown]
# Training at two rates allows both: the fast loop and the slow step may use different bounds. Use the ELBO, or a doubly
# reparameterised bound, for the fast loop, and many particles for the slow step.
#
# ```
# ltm train --fast.bound ELBO --slow.bound ImportanceWeighted --slow.bound.particles 8
# ```
#
# ## Sticking the landing
#
# Now we use one particle and the ELBO. We move q in a straight line into the posterior, and measure the variance of
# three gradients with the same mean: with the exact KL, with a sampled KL, and with a sampled KL but without the score
# term (Roeder et al., 2017).

# %%
landings = {
    "KL in closed form": ELBO(gradient=Reparameterised()),
    "KL sampled": ELBO(closed_form_kl=False, gradient=Reparameterised()),
    "KL sampled, sticking the landing": ELBO(closed_form_kl=False, gradient=StickingTheLanding()),
}
distances = torch.linspace(1, 0, 11)
variances = {
    name: [gradients(bound, toy, 2000, off=d.item(), wide=1 + d.item()).var(0).sum().item() for d in distances]
    for name, bound in landings.items()
}

# %%
figure, axes = plt.subplots(figsize=(6, 3.5), layout="constrained")
for (name, row), colour, marker in zip(variances.items(), (GREY, ORANGE, GREEN), "o^s", strict=True):
    axes.plot(distances, row, marker + "-", color=colour, label=name)
axes.set_yscale("symlog", linthresh=1e-2)
axes.set_ylim(-1e-3, None)
axes.invert_xaxis()
axes.set(xlabel="distance of q from the posterior", ylabel="variance of the gradient")
axes.legend(frameon=False)
plt.show()
print(f"at the posterior: {variances['KL sampled, sticking the landing'][-1]:.1e}")

# %% [markdown]
# At the posterior, log w = log p(x, z) - log q(z) is the same for every z, and the slope of a constant is zero: without
# the score term every single gradient is *exactly* zero there, for every draw. An optimizer can converge. The other two
# gradients are zero only on average, and keep moving q at random.
#
# That is why `Automatic`, the default for a mean over particles, uses sticking the landing wherever the KL is sampled.
#
# ## Checking the mean of the estimators
#
# Less noise does not help if the mean is wrong. The exact gradient is known here, so that each estimator can be
# compared with it, in standard errors. The last row is deliberately wrong: a gradient of the *importance-weighted*
# bound, which is a valid gradient, but of another objective.


# %%
def exact_gradient(toy, **place):
    """∇γ of the ELBO by differentiating its closed form."""
    guide, x = placed(toy, 1, **place)
    value = toy.elbo(x, guide.mu, guide.log_sigma.exp()).sum()
    return torch.cat([slope.flatten() for slope in torch.autograd.grad(value, guide.local_parameters())])


judged = {**landings, "importance-weighted, S = 8": ImportanceWeighted(8)}
figure, axes = plt.subplots(figsize=(7, 2.8), layout="constrained")
axes.axvspan(-4, 4, color="0.92", label="4 standard errors")
for place, bound in enumerate(judged.values()):
    g = gradients(bound, toy, 8000)
    z = (g.mean(0) - exact_gradient(toy)) / (g.std(0) / len(g) ** 0.5)
    axes.plot(z.clamp(-25, 25), [place] * len(z), "o", color=BLUE if z.abs().max() < 4 else ORANGE)
axes.set_yticks(range(len(judged)), list(judged))
axes.invert_yaxis()
axes.set(xlabel="mean gradient less the exact one, in standard errors (beyond ±25 at the edge)")
axes.legend(frameon=False, fontsize=8)
plt.show()

# %% [markdown]
# A pair of bound and gradient that is not valid is refused, with the reason:

# %%
try:
    ImportanceWeighted(8, gradient=StickingTheLanding())
except InputError as error:
    print(error)

# %% [markdown]
# ## Comparison at an equal number of decoder passes
#
# `compare_bounds` measures all of this, and time and memory, for any estimators on any model; on a trained run the
# command is `ltm compare bounds RUN`. What matters in practice is how well each estimator fits q *with the same number
# of decoder passes*. A step with 8 particles costs eight passes. The last example is a larger problem, with 16 numbers
# of z and a fixed budget.

# %%
from ltm_pyro.studies.bounds import Sizes, compare_bounds
from ltm_pyro.plots import plot_curves, plot_tightness

few = Sizes(particles=(1, 8, 32), repeats=8, gradient_particles=(1,), gradient_draws=8, gradient_draws_theta=4,
            inference_passes=256, measures=9, measure_draws=200, rounds=1)  # fmt: skip
mine = {
    "elbo": ELBO,
    "iwae": lambda S: ImportanceWeighted(S, gradient=Reparameterised()),
    "iwae-dreg": lambda S: ImportanceWeighted(S, gradient=DoublyReparameterised()),
}
large = LinearGaussian(z_shape=(2, 2, 4), observed=12, noise=1.0, batch=4)
loop = FastLoop(ELBO(), learning_rate=0.1)
records = compare_bounds(large, MeanFieldGuide(large.z_shape), large.x, mine, sizes=few, fast=loop).to_records()

# %%
figure, panels = plt.subplots(1, 2, figsize=(10, 3.6), layout="constrained")
plot_tightness([r for r in records if r["part"] == "tightness"], panels[0])
plot_curves([r for r in records if r["part"] == "inference"], panels[1])
for axes in panels:
    axes.legend(frameon=False, fontsize=7)
plt.show()

# %% [markdown]
# On the left is the number to *report*: the importance-weighted bound is best. On the right is the objective to
# *maximise* in the fast loop: the ELBO takes eight steps in the time of one importance-weighted step with eight
# particles.

# %% [markdown]
# ## Exercises
#
# **1.** From S = 16 to S = 256, by which factor does theory change the signal-to-noise ratio of γ's gradient? Give
# two numbers: for `Reparameterised` and for `DoublyReparameterised`.

# %% tags=["exercise-1"]
factors = None  # your answer, a pair

# %% tags=["check-1"]
if factors is None:
    print("Exercise 1 is waiting for you.")
else:
    usual, doubly = factors
    assert abs(usual - 0.25) < 1e-6, "the signal falls like 1/S, the noise like 1/√S"
    assert abs(doubly - 4.0) < 1e-6, "its ratio rises like √S"
    print("Exercise 1: right.")

# %% [markdown]
# **2.** Sticking the landing gives exactly zero at the posterior. Does it at the *best mean field* of a model whose
# posterior is not diagonal, such as `other` below? Say True or False. And are the log-weights of two draws there the
# `"same"`, or do they `"differ"`?

# %% tags=["exercise-2"]
other = LinearGaussian(z_shape=(1, 2, 2), observed=4, noise=0.8, batch=1)
evaluation_mode, log_weights = None, None  # your answer

# %% tags=["check-2"]
if evaluation_mode is None:
    print("Exercise 2 is waiting for you.")
else:
    landing = landings["KL sampled, sticking the landing"]
    scatter = gradients(landing, other, 2000, off=0.0, wide=1.0).var(0).sum().item()
    assert evaluation_mode == (scatter < 1e-12), f"the variance of its gradient there is {scatter:.2f}"
    assert log_weights == "differ", "if all log-weights were the same, q would be the posterior"
    print("Exercise 2: right.")

# %% [markdown]
# **3.** Choose a bound for the *fast* loop from the importance-weighted family, with 16 particles, whose γ gradient
# has at least twice the signal-to-noise ratio that `ImportanceWeighted(16, gradient=Reparameterised())` has on `toy`.

# %% tags=["exercise-3"]
my_bound = None  # your answer

# %% tags=["check-3"]
if my_bound is None:
    print("Exercise 3 is waiting for you.")
else:
    assert isinstance(my_bound, ImportanceWeighted), "take ImportanceWeighted, with another gradient"
    assert my_bound.particles == 16, "with 16 particles"
    usual = ImportanceWeighted(16, gradient=Reparameterised())
    ratio = signal_to_noise(gradients(my_bound, toy)) / signal_to_noise(gradients(usual, toy))
    assert ratio > 2, f"its ratio is {ratio:.1f} times the usual one's"
    print("Exercise 3: right.")

# %% [markdown]
# Worked solutions stand in `solutions/08_comparing_elbo_estimators.py`. Next: 9, posterior collapse.
