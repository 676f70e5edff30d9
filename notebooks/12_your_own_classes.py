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
# # 12 · How do I bring my own prior, guide and bound?
#
# [![Open Colab](https://colab.research.google.com/assets/colab-badge.svg)](https://colab.research.google.com/)
# (there: *Upload*, and choose this file)
#
# You have an idea for a class that the library does not have. How little code is needed, and how do you know that it is
# right before you spend a week of compute on it?
#
# **At the end you will know**
# - which methods a prior, a guide and a bound must have;
# - how to test your classes with the checks that the library's own tests use;
# - how to train with them from the command line, without changing the library.
#
# This notebook builds on notebooks 1 and 4; notebooks 6, 7 and 8 show the classes of the library.

# %% tags=["install"]
import importlib.util
import subprocess
import sys

if importlib.util.find_spec("ltm_pyro") is None:  # on Colab, or in a new environment
    package = "ltm-pyro[notebooks] @ git+https://github.com/ltm-pyro/ltm_pyro"  # the name is not on PyPI yet
    subprocess.run([sys.executable, "-m", "pip", "install", "--quiet", package], check=True)

# %%
import tempfile
from pathlib import Path

import matplotlib.pyplot as plt
import pyro
import pyro.distributions as dist
import torch

from ltm_pyro import ELBO, AbstractBound, AbstractGuide, AbstractPrior, FastLoop, ImportanceWeighted, MeanFieldGuide
from ltm_pyro.models.exact import LinearGaussian
from ltm_pyro.testing import check_bound, check_guide, check_prior

plt.rcParams.update({"figure.dpi": 80, "axes.spines.top": False, "axes.spines.right": False})
BLUE, ORANGE, GREEN, GREY = "#0072B2", "#D55E00", "#009E73", "0.5"
pyro.set_rng_seed(12)

# %% [markdown]
# ## A prior
#
# A prior is a module whose `forward()` *returns* p(z), a distribution of event shape (L, K, D). It never samples. Ours
# is a logistic distribution with a learned scale for each layer; its tails are heavier than those of a Gaussian.


# %%
class LogisticPrior(AbstractPrior):
    """Independent logistic thoughts, of a learned width for each layer."""

    def __init__(self, z_shape: tuple[int, int, int], width: float = 0.55) -> None:
        super().__init__(z_shape)
        self.log_width = torch.nn.Parameter(torch.full((z_shape[0], 1, 1), float(width)).log())

    def forward(self) -> dist.Distribution:
        width = self.log_width.exp()
        return dist.Logistic(torch.zeros_like(width), width).expand(self.z_shape).to_event(3)


check_prior(LogisticPrior)
print("the prior keeps its contract")

# %% [markdown]
# `check_prior` tests whether p(z) expands over particles and sequences, repeats under a seed, stays the same when saved
# and restored, integrates to one, and has samples from its own density. The figure shows the last of these:

# %%
prior = LogisticPrior((1, 1, 1))
figure, axes = plt.subplots(figsize=(6, 3), layout="constrained")
with torch.no_grad():
    axes.hist(
        prior().sample((40_000,)).flatten().numpy(), bins=120, density=True, color=BLUE, alpha=0.5, label="samples"
    )
    z = torch.linspace(-5, 5, 400)
    axes.plot(z, prior().log_prob(z.view(-1, 1, 1, 1)).exp(), color=ORANGE, label="exp(log_prob)")
axes.set(xlabel="z", ylabel="density", xlim=(-5, 5))
axes.legend(frameon=False)
plt.show()

# %% [markdown]
# A check is useful only if it can fail. Here is the most common mistake: a change of variables without its Jacobian. It
# trains without any error, and all bounds that it reports are wrong.


# %%
class ForgotTheJacobian(LogisticPrior):
    """z = sinh(u) with u logistic, scored as if z were u."""

    def forward(self) -> dist.Distribution:
        base = super().forward()

        class Stretched(type(base.base_dist)):
            def expand(self, batch_shape, _instance=None):
                return Stretched(self.loc.expand(batch_shape), self.scale.expand(batch_shape))

            def rsample(self, sample_shape=()):
                return super().rsample(sample_shape).sinh()

            def log_prob(self, value):
                return super().log_prob(value.asinh())  # + log du/dz is missing

        return Stretched(base.base_dist.loc, base.base_dist.scale).to_event(3)


try:
    check_prior(ForgotTheJacobian)
except AssertionError as error:
    print(error)

# %% [markdown]
# ## A guide
#
# A guide has three methods. `start` begins a batch with fresh rows, one per sequence: plain tensors that require a
# gradient, *not* parameters, because they are discarded after the batch. `local_parameters` returns the tensors that
# the fast loop optimises. `posterior` returns q(z) as a function of them.
#
# Ours is a Gaussian with one common factor: its covariance is diagonal plus one direction. That is the cheapest guide
# that represents any dependence.


# %%
class OneFactorGuide(AbstractGuide):
    """z = μ + σ ε + v ε₀: a diagonal Gaussian and one direction v along which all may move together."""

    def start(self, x, mask=None, prior=None):
        self.rows = len(x)
        mu, sigma = self.at_prior(x, prior)  # the moments of p(z), a row a text, in the model's dtype
        self.mu = mu.flatten(1).requires_grad_()  # (B, L K D)
        self.log_sigma = sigma.log().flatten(1).requires_grad_()
        self.factor = (0.1 * torch.ones_like(self.mu)).requires_grad_()

    def local_parameters(self):
        return [self.mu, self.log_sigma, self.factor]

    def posterior(self):
        q = dist.LowRankMultivariateNormal(self.mu, self.factor[..., None], (2 * self.log_sigma).exp())
        shape = torch.distributions.ReshapeTransform(self.mu.shape[1:], torch.Size(self.z_shape))
        return dist.TransformedDistribution(q, [shape])


check_guide(OneFactorGuide)
print("the guide keeps its contract")

# %% [markdown]
# Does the factor help? We compare the guide with the mean field on models with more and more dependence in the
# posterior, whose evidence is known:

# %%
loop = FastLoop(ELBO(particles=8), steps=120, learning_rate=0.2)


def gap(guide, toy):
    loop.fit(toy, guide, toy.x)
    with torch.no_grad():
        return (toy.evidence(toy.x) - ELBO(2000).terms(toy, guide, toy.x).bound).mean().item()


strengths = [0.5, 1.0, 2.0, 4.0]
lacking = {"MeanFieldGuide": [], "OneFactorGuide": []}
for strength in strengths:
    toy = LinearGaussian(z_shape=(1, 2, 2), observed=1, noise=1.0, batch=4)
    with torch.no_grad():
        toy.weight.copy_(strength * torch.ones(1, 4))  # x tells the sum of all four numbers
    for guide in (MeanFieldGuide(toy.z_shape), OneFactorGuide(toy.z_shape)):
        lacking[guide.family].append(gap(guide, toy))

# %%
figure, axes = plt.subplots(figsize=(6, 3.2), layout="constrained")
for (name, values), colour, marker in zip(lacking.items(), (GREY, BLUE), "so", strict=True):
    axes.plot(strengths, values, marker + "-", color=colour, label=name)
axes.set(xlabel="how strongly x tells the sum of z", ylabel="gap to log p(x), nats")
axes.legend(frameon=False)
plt.show()

# %% [markdown]
# The guide closes a part of the gap. Knowing the *sum* makes the posterior narrow along one direction, (1, 1, 1, 1),
# whereas a factor can only *add* variance along one direction: three factors would be enough. So the class represents
# this dependence only in part; that, too, is a result.
#
# ## A bound
#
# A bound is a function of the log-weights log w = log p(x, z) - log q(z), shape (S, B), with one value per sequence.
# The method `value` is all that you write. All gradient estimators, `at_once`, claims and tables work with it. Ours
# splits the S particles into two halves and takes the mean of their importance-weighted bounds. It is less tight,
# because each half has half the particles.


# %%
class Halves(AbstractBound):
    r"""The mean of the importance-weighted bounds of two halves of the particles."""

    least_particles = 2

    def value(self, log_w):
        halves = log_w.tensor_split(2)
        return sum(half.logsumexp(0) - torch.tensor(float(len(half))).log() for half in halves) / 2


check_bound(Halves(particles=8))
print("the bound keeps its claim:", Halves(particles=8).claim.value)

# %% [markdown]
# The class inherits the claim of a lower bound, and `check_bound` tests it: tight at the exact posterior, below log
# p(x) elsewhere by more than four standard errors, and no dependence between the sequences of a batch. Now a tempting
# mistake: the *largest* log-weight, "the best explanation found".


# %%
class BestExplanation(AbstractBound):
    """The largest of S log-weights, which feels like progress."""

    def value(self, log_w):
        return log_w.max(0).values


try:
    check_bound(BestExplanation(particles=64))
except AssertionError as error:
    print(error)

# %%
toy = LinearGaussian(z_shape=(1, 1, 2), batch=1)
x = toy.x.expand(2000, -1)
guide = MeanFieldGuide(toy.z_shape)
guide.start(x, prior=toy.prior())
mu, sigma = toy.best_mean_field(x)
with torch.no_grad():
    guide.mu.copy_(mu)
    guide.log_sigma.copy_((1.2 * sigma).log())
    sizes = [2, 4, 8, 16, 32, 64]
    makers = {"ImportanceWeighted": ImportanceWeighted, "Halves": Halves, "BestExplanation": BestExplanation}
    means = {name: [make(S).terms(toy, guide, x).bound.mean() for S in sizes] for name, make in makers.items()}
figure, axes = plt.subplots(figsize=(6, 3.2), layout="constrained")
axes.axhline(toy.evidence(toy.x).item(), color="k", linewidth=1, label="log p(x), exact")
for (name, values), colour in zip(means.items(), (BLUE, GREEN, ORANGE), strict=True):
    axes.plot(sizes, values, "o-", color=colour, label=name)
axes.set_xscale("log", base=2)
axes.set_xticks(sizes, [str(S) for S in sizes])
axes.set(xlabel="particles S", ylabel="mean value, nats")
axes.legend(frameon=False, fontsize=8)
plt.show()

# %% [markdown]
# ## From the command line
#
# The command line takes any class by its import path, with its arguments, from a file in the current folder. We
# therefore write two of the classes to `my_classes.py`, and train for a few steps.

# %%
HEAD = "import pyro.distributions as dist\nimport torch\n\nfrom ltm_pyro import AbstractBound, AbstractPrior\n"
folder = Path(tempfile.mkdtemp())
PRIOR = '''
class LogisticPrior(AbstractPrior):
    """Independent logistic thoughts, of a learned width for each layer."""

    def __init__(self, z_shape: tuple[int, int, int], width: float = 0.55) -> None:
        super().__init__(z_shape)
        self.log_width = torch.nn.Parameter(torch.full((z_shape[0], 1, 1), float(width)).log())

    def forward(self) -> dist.Distribution:
        width = self.log_width.exp()
        return dist.Logistic(torch.zeros_like(width), width).expand(self.z_shape).to_event(3)
'''
BOUND = '''
class Halves(AbstractBound):
    """The mean of the importance-weighted bounds of two halves of the particles."""

    least_particles = 2

    def value(self, log_w):
        halves = log_w.tensor_split(2)
        return sum(half.logsumexp(0) - torch.tensor(float(len(half))).log() for half in halves) / 2
'''
(folder / "my_classes.py").write_text(f"{HEAD}\n{PRIOR}\n{BOUND}")

# %%
command = "-m ltm_pyro.cli.main train --run run --prior my_classes.LogisticPrior --prior.width 0.5 \
  --slow.bound my_classes.Halves --slow.bound.particles 4 --fast.steps 4 --train.steps 12 --data.length 32 \
  --data.vocabulary 300 --train.batch_size 4 --decoder.width 16 --decoder.layers 1 --decoder.heads 2 \
  --train.evaluate_every 12 --train.evaluate_sequences 4 --train.final_sequences 4 --train.evaluate_fast_steps 4 \
  --train.draws 2"
done = subprocess.run([sys.executable, *command.split()], cwd=folder, capture_output=True, text=True)
print("\n".join((done.stdout or done.stderr).strip().splitlines()[-14:]))

# %%
print("\n".join((folder / "run" / "config.yaml").read_text().split("prior:")[1].splitlines()[:4]))

# %% [markdown]
# The run's `config.yaml` names your class by its path: `ltm evaluate run`, `ltm generate run` and `ltm train --resume
# run` find it again, as long as `my_classes.py` is there.
#
# `CONTRIBUTING.md` shows how to add the class to the library, by one file and one line.

# %% [markdown]
# ## Exercises
#
# **1.** Write a prior of independent Gumbel thoughts of scale 0.5, located at zero.


# %% tags=["exercise-1"]
MyPrior = None  # your answer: a class

# %% tags=["check-1"]
if MyPrior is None:
    print("Exercise 1 is waiting for you.")
else:
    check_prior(MyPrior)
    mean = MyPrior((1, 1, 1))().sample((20_000,)).mean().item()
    assert abs(mean - 0.5 * 0.5772) < 0.02, f"the mean of its samples is {mean:.3f}, a Gumbel's of scale 0.5 is 0.289"
    print("Exercise 1: right.")

# %% [markdown]
# **2.** Write a guide of independent *Laplace* posteriors, location and log-scale local, that passes `check_guide`.

# %% tags=["exercise-2"]
MyGuide = None  # your answer: a class

# %% tags=["check-2"]
if MyGuide is None:
    print("Exercise 2 is waiting for you.")
else:
    check_guide(MyGuide, within=2.0)
    guide = MyGuide((1, 1, 2))
    guide.start(torch.zeros(2, 3))
    q = guide.posterior()
    base = getattr(q, "base_dist", q)
    assert isinstance(base, torch.distributions.Laplace), f"its posterior is {type(base).__name__}, not Laplace"
    print("Exercise 2: right.")

# %% [markdown]
# **3.** `BestExplanation` becomes a lower bound for every S if a number that depends only on S is subtracted. Write
# that class, as tight as it can be for all log-weights. (Hint: compare the largest weight with the mean of all.) The
# check cannot ask for tightness at the posterior here, so it asks for the value itself.

# %% tags=["exercise-3"]
Mended = None  # your answer: a class

# %% tags=["check-3"]
if Mended is None:
    print("Exercise 3 is waiting for you.")
else:
    for S in (1, 5, 64):
        spike = torch.full((S, 3), -1e9)
        spike[0] = torch.tensor([0.0, 1.0, 2.0])  # one weight counts, where the two must agree
        found, limit = Mended(S).value(spike), ImportanceWeighted(S).value(spike)
        assert (found <= limit + 1e-6).all(), f"with S = {S} it exceeds the importance-weighted bound"
        assert torch.allclose(found, limit, atol=1e-5), (
            f"with S = {S} it could be {(limit - found).max():.2f} nats higher"
        )
    print("Exercise 3: right.")

# %% [markdown]
# Worked solutions stand in `solutions/12_your_own_classes.py`. Next: 13, thoughts on a pretrained model.
