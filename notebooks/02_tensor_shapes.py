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
# # 2 · Which dimension is which?
#
# [![Open Colab](https://colab.research.google.com/assets/colab-badge.svg)](https://colab.research.google.com/)
# (there: *Upload*, and choose this file)
#
# The tensors of a latent variable model have dimensions for samples, sequences, tokens, layers, vectors and channels.
# The most common mistake is a mean over the wrong dimension. It raises no error: it gives a wrong number.
#
# **At the end you will know**
# - the six letters S, B, T, L, K, D and their order;
# - what Pyro means by *batch* and *event*, and what a plate asserts;
# - why log-weights have shape (S, B), and over which of the two dimensions a logarithm of a mean is taken;
# - on which tokens and which thoughts a prediction depends, measured.

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
from pyro import poutine

from ltm_pyro import Decoder, GaussianPrior, ImportanceWeighted, LatentThoughtModel, MeanFieldGuide, TokenSequence

pyro.set_rng_seed(2)
plt.rcParams.update({"figure.dpi": 80, "axes.spines.top": False, "axes.spines.right": False})

# %% [markdown]
# ## Six letters
#
# | | | here |
# | --- | --- | --- |
# | S | particles: samples of z for the same text | 4 |
# | B | sequences in a batch | 3 |
# | T | tokens in a sequence | 10 |
# | L | layers of the decoder, each with thoughts of its own | 2 |
# | K | thought vectors in a layer | 2 |
# | D | channels of a vector | 8 |
#
# The sizes differ, so that a wrong dimension shows. Dimensions on the left count independent copies; dimensions on the
# right belong to one variable.

# %%
S, B, T, L, K, D = 4, 3, 10, 2, 2, 8
decoder = Decoder(vocabulary=12, width=D, layers=L, heads=2, thoughts=K, window=3, length=T)
prior = GaussianPrior(decoder.z_shape)
model = LatentThoughtModel(prior, decoder)
print("z of one text has event shape (L, K, D) =", decoder.z_shape)

# %%
COLOURS = {"S": "#c8553d", "B": "#f2a541", "T": "#6a994e", "L": "#386fa4", "K": "#59a5d8", "D": "#b9d6f2"}


def picture(ax, letters, sizes, title):
    """A shape as a row of stacks: one box a dimension, as tall as the dimension is long."""
    for place, (letter, size) in enumerate(zip(letters, sizes, strict=True)):
        for cell in range(size):
            ax.add_patch(plt.Rectangle((place, cell), 0.8, 0.9, color=COLOURS[letter]))
        ax.text(place + 0.4, -0.3, f"{letter}\n{size}", ha="center", va="top")
    ax.set(xlim=(-0.3, 5.2), ylim=(-2.5, 10.5), title=title)
    ax.axis("off")


fig, axes = plt.subplots(1, 4, figsize=(13, 2.8))
picture(axes[0], "BT", (B, T), "x: texts")
picture(axes[1], "LKD", (L, K, D), "z of one text: an event")
picture(axes[2], "BLKD", (B, L, K, D), "z of a batch")
picture(axes[3], "SBLKD", (S, B, L, K, D), "z, several particles")
plt.show()

# %% [markdown]
# ## Batch and event
#
# A distribution has a *batch* shape (how many independent variables it holds) and an *event* shape (what one variable
# looks like). `log_prob` gives **one number per batch entry**; an event's coordinates are summed. `to_event(n)` moves
# the n rightmost batch dimensions into the event.

# %%
alone = dist.Normal(torch.zeros(B, L, K, D), 1.0)
together = alone.to_event(3)
z = together.sample()
for name, q in [("Normal(...)", alone), ("Normal(...).to_event(3)", together)]:
    shapes = f"batch {tuple(q.batch_shape)!s:16} event {tuple(q.event_shape)!s:12}"
    print(f"{name:24} {shapes} log_prob {tuple(q.log_prob(z).shape)}")

# %% [markdown]
# The sum of the log-densities is the same in both cases; the shapes differ in what is summed already. With
# `to_event(3)` each text has one log-density, as a bound *per text* needs.

# %%
fig, axes = plt.subplots(1, 2, figsize=(9, 2.6), width_ratios=[4, 1])
axes[0].imshow(alone.log_prob(z).flatten(1), aspect="auto", cmap="Blues_r")
axes[0].set(title="one log-density a coordinate: (B, L, K, D)", xlabel="L · K · D coordinates", ylabel="sequence")
axes[1].imshow(together.log_prob(z)[:, None], aspect="auto", cmap="Blues_r")
for row, value in enumerate(together.log_prob(z)):
    axes[1].text(0, row, f"{value:.1f}", ha="center", va="center", color="C1")
axes[1].set(title="one a text: (B,)", xticks=[])
for ax in axes:
    ax.set_yticks(range(B))
plt.show()

# %% [markdown]
# ## A plate asserts independence
#
# `pyro.plate("sequences", B, dim=-1)` says: along this batch dimension, the one directly left of the event, entries are
# independent given the parameters. Two sites meet in it, z and x. A trace shows both shapes, batch | event:

# %%
x = model(batch_size=B)
trace = poutine.trace(model).get_trace(x)
trace.compute_log_prob()
print(trace.format_shapes())

# %% [markdown]
# Read `z 3 | 2 2 8` as: three texts, each with an event (L, K, D). Its log-probability has the batch shape alone.
#
# Does the assertion hold? If we change the second text, the log-probabilities of the others must not change.

# %%
z = together.sample()
before = TokenSequence(decoder, z).log_prob(x)
other = x.clone()
other[1] = (other[1] + 1) % 12
moved = TokenSequence(decoder, z).log_prob(other) - before
print("change of log p(x | z), a text each:", [round(value, 4) for value in moved.tolist()])

# %% [markdown]
# ## Particles: one more dimension, on the left
#
# To average over z we draw S samples for each text: z has shape (S, B, L, K, D), the text keeps shape (B, T) and has
# one prefill, and the likelihood has shape (S, B).

# %%
particles = together.sample((S,))
print("z", tuple(particles.shape), "  x", tuple(x.shape), "  log p(x | z)", end=" ")
print(tuple(TokenSequence(decoder, particles).log_prob(x).shape))

# %% [markdown]
# The log-weights $\log w_{sb} = \log p(x_b, z_{sb}) - \log q(z_{sb})$ form a table with one row per particle and one
# column per text. Bounds differ in *how this table is reduced*:
#
# - a mean over S: the ELBO, $\frac1S \sum_s \log w_{sb}$;
# - a logarithm of a mean over S: the importance-weighted bound, $\log \frac1S \sum_s w_{sb}$;
# - over B only a sum or mean, **outside** every logarithm. Texts are not samples of one another.

# %%
guide = MeanFieldGuide(decoder.z_shape)
guide.start(x, prior=prior())
with torch.no_grad():
    q = guide.posterior()
    drawn = q.sample((S,))
    log_w = TokenSequence(decoder, drawn).log_prob(x) + prior().log_prob(drawn) - q.log_prob(drawn)

fig, axes = plt.subplots(1, 2, figsize=(9, 2.6))
axes[0].imshow(log_w, cmap="Oranges")
axes[0].set(title="log w, shape (S, B)", xlabel="B", ylabel="S", xticks=range(B), yticks=range(S))
axes[0].annotate("", (-0.9, 3.4), (-0.9, -0.4), annotation_clip=False, arrowprops={"arrowstyle": "->", "color": "C3"})
for row in range(S):
    for column in range(B):
        axes[0].text(column, row, f"{log_w[row, column]:.2f}", ha="center", va="center", fontsize=8)
axes[1].bar(torch.arange(B) - 0.2, log_w.mean(0), 0.4, label="mean over S: ELBO")
axes[1].bar(torch.arange(B) + 0.2, log_w.logsumexp(0) - math.log(S), 0.4, label="log-mean-exp over S")
axes[1].set(title="reduced along the arrow: (B,)", xticks=range(B), ylim=(log_w.min() - 0.3, log_w.max() + 0.5))
axes[1].legend(frameon=False, fontsize=8)
plt.show()

# %% [markdown]
# **The most harmful mistake.** If B is inside the logarithm, texts are treated as particles of one another, and the
# weight of the easiest text dominates all others. The result looks like a bound but is not one: with texts of unequal
# length it lies far above the truth. (`pyro.infer.RenyiELBO` and `ReweightedWakeSleep` do this to a mini-batch.)

# %%
unequal = torch.tensor([-5.0, -50.0, -100.0])  # log p(x) of a short, a longer, a long text; every weight exact
exact = unequal.expand(S, B)
right = (exact.logsumexp(0) - math.log(S)).sum()
wrong = B * (exact.logsumexp((0, 1)) - math.log(S * B))
fig, ax = plt.subplots(figsize=(6, 1.8))
ax.barh(
    ["true Σ log p(x)", "log over S, sum over B", "log over S and B"],
    [unequal.sum(), right, wrong],
    color=["k", "C0", "C3"],
)
ax.invert_yaxis()
ax.set(xlabel="nats", title="A 'bound' that is above the truth")
plt.show()

# %%
pyro.set_rng_seed(0)
with torch.no_grad():
    terms = ImportanceWeighted(S).terms(model, guide, x)
print("the library's terms are per text:", {name: tuple(value.shape) for name, value in terms.tensors().items()})

# %% [markdown]
# ## Dependence on tokens and thoughts
#
# T is not a plate: tokens depend on earlier ones, through a window of w tokens in each layer, and on the thoughts. To
# measure this, we change each input a little and see which predictions change.


# %%
def influence(layers, window):
    """Change of the prediction after token t as token s, or layer l's thoughts, are nudged: (T, T), (L, T)."""
    pyro.set_rng_seed(3)
    nudged = Decoder(
        vocabulary=12, width=16, layers=layers, heads=2, thoughts=2, window=window, length=T, initial_scale=0.3
    )
    thoughts = torch.randn(1, *nudged.z_shape, requires_grad=True)
    words = nudged.embedding(x[:1]).detach().requires_grad_()
    nudged.embedding.forward = lambda tokens: words  # the same words, with a slope
    hidden = nudged(x[:1], thoughts)[0]
    rows = [torch.autograd.grad(h.square().sum(), (words, thoughts), retain_graph=True) for h in hidden]
    of_words = torch.stack([word[0].norm(dim=-1) for word, _ in rows])
    of_thoughts = torch.stack([thought[0].flatten(1).norm(dim=-1) for _, thought in rows])
    return of_words, of_thoughts.T


# %%
fig, axes = plt.subplots(2, 3, figsize=(11, 4.6), height_ratios=[4, 1])
for column, (layers, window) in enumerate([(1, 3), (2, 3), (3, 3)]):
    of_words, of_thoughts = influence(layers, window)
    axes[0, column].imshow((of_words > 1e-8).float(), cmap="Greens", vmax=1.6)
    axes[0, column].set(
        title=f"{layers} layer{'s' * (layers > 1)}, window {window}", xlabel="token s", ylabel="prediction t"
    )
    axes[1, column].imshow((of_thoughts > 1e-8).float(), cmap="Blues", vmin=0, vmax=1.6, aspect="auto")
    axes[1, column].set(ylabel="layer's z", xlabel="prediction t", yticks=range(layers))
plt.tight_layout()
plt.show()

# %% [markdown]
# With a running kernel, try other settings:

# %% tags=["slider"]
import ipywidgets as widgets


@widgets.interact(layers=(1, 4), window=(1, 6))
def look(layers=2, window=2):
    of_words, _ = influence(layers, window)
    plt.figure(figsize=(3, 3))
    plt.imshow((of_words > 1e-8).float(), cmap="Greens", vmax=1.6)
    plt.title(f"the last prediction sees {int((of_words[-1] > 1e-8).sum())} tokens")
    plt.show()


# %% [markdown]
# One layer sees w tokens, and L layers see L·(w − 1) + 1. The thoughts of every layer reach every prediction: they
# carry the long-range information. This is the main idea of the architecture.
#
# **Padding** is a mask of shape (B, T), True where a token is scored. A masked token contributes exactly zero nats; the
# two numbers below differ only by rounding.

# %%
mask = torch.ones(B, T, dtype=torch.bool)
mask[0, 6:] = False
padded = x.clone()
padded[0, 6:] = 0
with torch.no_grad():
    short = TokenSequence(decoder, z[:1]).log_prob(x[:1, :6])
    masked = TokenSequence(decoder, z, mask).log_prob(padded)[:1]
print("six tokens alone:", short.item(), "  padded to ten:", masked.item())

# %% [markdown]
# ## Exercises
#
# **1.** A Latent Thought Model has 12 layers, 8 thought vectors per layer, and width 512. How many numbers does the z
# of a batch of 4 texts have, with 16 particles each?

# %% tags=["exercise-1"]
numbers_in_z = None

# %% tags=["check-1"]
if numbers_in_z is None:
    print("Exercise 1 is waiting for you.")
else:
    assert numbers_in_z == torch.empty(16, 4, 12, 8, 512, device="meta").numel(), "S B L K D, all of them"
    print("Exercise 1: right.")

# %% [markdown]
# **2.** Write `importance_weighted(log_w)`: from log-weights of shape (S, B) to the bound of each text, shape (B,).

# %% tags=["exercise-2"]
importance_weighted = None

# %% tags=["check-2"]
if importance_weighted is None:
    print("Exercise 2 is waiting for you.")
else:
    table = torch.tensor([[-1.0, -500.0], [-2.0, -900.0], [-3.0, -500.0]])
    answer = importance_weighted(table)
    assert answer.shape == (2,), "one number a text"
    torch.testing.assert_close(answer, ImportanceWeighted(3).value(table), msg=f"{answer} is not log-mean-exp over S")
    print("Exercise 2: right.")

# %% [markdown]
# **3.** `wrong` below should be a posterior for B texts. Define `posterior` with the same mean and scale, so that its
# `log_prob` is one number per text.

# %% tags=["exercise-3"]
wrong = dist.Normal(torch.zeros(B, L, K, D), 0.5).to_event(4)  # one number for all texts together
posterior = None

# %% tags=["check-3"]
if posterior is None:
    print("Exercise 3 is waiting for you.")
else:
    assert posterior.batch_shape == (B,), f"batch {tuple(posterior.batch_shape)}, expected (B,)"
    assert posterior.event_shape == (L, K, D), f"event {tuple(posterior.event_shape)}, expected (L, K, D)"
    assert posterior.log_prob(z).sum().isclose(wrong.log_prob(z)), "the same density, otherwise"
    print("Exercise 3: right.")
