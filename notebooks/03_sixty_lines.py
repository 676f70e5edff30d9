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
# # 3 · What is a Latent Thought Model, in sixty lines?
#
# [![Open Colab](https://colab.research.google.com/assets/colab-badge.svg)](https://colab.research.google.com/)
# (there: *Upload*, and choose this file)
#
# **The question.** What is a Latent Thought Model, written out in full without a library?
#
# **At the end you will know**
#
# - the whole model in sixty lines of PyTorch and plain Pyro: decoder, prior, guide, and training at two rates,
# - that the library's model is the same: with the same weights and the same noise it gives the same numbers,
# - what its thoughts represent on a language whose latent topics we know, and how near its bounds come to the truth,
# - what the library adds: another prior, guide or bound is one line.
#
# This notebook builds on notebooks 1 and 2: bounds and tensor shapes.

# %% tags=["install"]
import importlib.util
import subprocess
import sys

if importlib.util.find_spec("ltm_pyro") is None:  # on Colab, or in a new environment
    package = "ltm-pyro[notebooks] @ git+https://github.com/ltm-pyro/ltm_pyro"  # the name is not on PyPI yet
    subprocess.run([sys.executable, "-m", "pip", "install", "--quiet", package], check=True)

# %%
import math
from copy import deepcopy

import matplotlib.pyplot as plt
import pyro
import pyro.distributions as dist
import torch
from pyro.infer import TraceMeanField_ELBO
from torch import nn
from torch.nn.functional import pad, scaled_dot_product_attention, silu

import ltm_pyro as ltm

torch.set_default_dtype(torch.float64)  # so that "the same numbers" can mean ten digits
plt.rcParams.update({"figure.dpi": 80, "axes.spines.top": False, "axes.spines.right": False})
BLUE, ORANGE, GREEN, PINK, GREY = "#0072B2", "#D55E00", "#009E73", "#CC79A7", "0.5"

# %% [markdown]
# ## A language with hidden topics
#
# The language has eight words, and a text has sixteen. Every text has one of four topics, which the model is not given.
# Each topic has two words of its own. Four of five words of a text are the topic's own; the fifth is any of the other
# six.

# %%
TOPICS, WORDS, LENGTH = 4, 8, 16
chances = torch.full((TOPICS, WORDS), 0.2 / 6)
for topic in range(TOPICS):
    chances[topic, 2 * topic : 2 * topic + 2] = 0.4


def write_texts(count):
    """Texts (N, T), and their topics (N,)."""
    topics = torch.randint(TOPICS, (count,))
    return torch.multinomial(chances[topics], LENGTH, replacement=True), topics


def true_log_prob(x):
    """log p(x), nats a text, by a sum over all topics."""
    return (chances.log()[:, x].sum(-1) - math.log(TOPICS)).logsumexp(0)


pyro.set_rng_seed(3)
texts, topics = write_texts(240)  # held out: nothing learns from them
TRUTH = -true_log_prob(texts).mean().item()
NOTHING = LENGTH * math.log(WORDS)  # each word by itself is as likely as any other
print(f"nats a text: {TRUTH:.2f} is the truth, {NOTHING:.2f} for whoever knows nothing of topics")

# %%
figure, (left, right) = plt.subplots(1, 2, figsize=(9, 2.4), layout="constrained", width_ratios=(1, 2))
left.imshow(chances, cmap="Blues", vmin=0)
left.set(xlabel="word", ylabel="topic", title="how often a topic says a word")
right.imshow(texts[topics.argsort()][::24], cmap="Paired", aspect="auto")
right.set(xlabel="token", yticks=[], title="ten texts, sorted by topic; a colour is a word")
plt.show()

# %% [markdown]
# ## 1. The decoder
#
# The decoder is a Transformer that generates the text word by word. Every block has causal self-attention over a short
# window, cross-attention to the thoughts $z_l$ of the layer, and a feed-forward network:
#
# $$h \leftarrow h + \mathrm{self\ attention}(h), \qquad h \leftarrow h + \mathrm{cross\ attention}(h, z_l), \qquad
#   h \leftarrow h + \mathrm{SwiGLU}(h),$$
#
# each after an RMSNorm. Positions are encoded by rotations. The embedding matrix also gives the logits.

# %% tags=["sixty"]
V, T, D, L, K, HEADS, WINDOW, INNER = 8, 16, 16, 2, 1, 2, 4, 64  # words, tokens, width, layers, thoughts a layer


def matrices(**sizes):
    return nn.ModuleDict({name: nn.Linear(*size, bias=False) for name, size in sizes.items()})


def rotate(x, places):  # a place turns neighbouring channels
    angle = torch.outer(places.float(), 10_000.0 ** (-torch.arange(0, x.shape[-1], 2).float() / x.shape[-1]))
    turn = torch.complex(angle.cos(), angle.sin()).to(torch.complex128)
    return torch.view_as_real(torch.view_as_complex(x.unflatten(-1, (-1, 2))) * turn).flatten(-2)


def attend(to, h, source, places, sees=None):
    q, k, v = to["query"](h), to["key"](source), to["value"](source)
    q, k, v = (part.unflatten(-1, (HEADS, -1)).transpose(1, 2) for part in (q, k, v))
    answer = scaled_dot_product_attention(rotate(q, torch.arange(T)), rotate(k, places), v, sees)
    return to["output"](answer.transpose(1, 2).flatten(2))


# %% tags=["sixty"]
class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.norm_1, self.norm_2, self.norm_3 = (nn.RMSNorm(D, eps=1e-5) for _ in range(3))
        square = dict.fromkeys(("query", "key", "value", "output"), (D, D))
        self.self_attention, self.cross_attention = matrices(**square), matrices(**square)
        self.feed_forward = matrices(gate=(D, INNER), up=(D, INNER), down=(INNER, D))

    def forward(self, h, z):
        n, t, wide = self.norm_1(h), torch.arange(T), self.feed_forward
        back = t[:, None] - t  # a token sees itself and the WINDOW - 1 before it
        h = h + attend(self.self_attention, n, n, t, (back >= 0) & (back < WINDOW))
        h = h + attend(self.cross_attention, self.norm_2(h), z, torch.arange(K) * (T // (L * K)))
        n = self.norm_3(h)
        return h + wide["down"](silu(wide["gate"](n)) * wide["up"](n))


class Decoder(nn.Module):
    def __init__(self):
        super().__init__()
        self.embedding, self.norm = nn.Embedding(V, D), nn.RMSNorm(D, eps=1e-5)
        self.blocks = nn.ModuleList(Block() for _ in range(L))

    def forward(self, x, z):  # logits of every word, (B, T, V), from those before it and all thoughts (B, L, K, D)
        h = self.embedding(pad(x[:, :-1], (1, 0)))  # word 0 stands before every text
        for block, thoughts in zip(self.blocks, z.unbind(1), strict=True):
            h = block(h, thoughts)
        return self.norm(h) @ self.embedding.weight.T


# %% [markdown]
# ## 2. The Pyro program
#
# The model draws the thoughts from a Gaussian prior, and then the text given the thoughts. The guide is a Gaussian for
# every text. Its means and log standard deviations are arguments: they are *local* parameters, and exist only for one
# batch.
#
# $$z \sim \mathcal{N}(0, I), \qquad x \sim p_\theta(x \mid z), \qquad q(z) = \mathcal{N}(\mu, \sigma^2)$$


# %% tags=["sixty"]
def model(decoder, x, mu, log_sigma):
    with pyro.plate("texts", len(x)):
        z = pyro.sample("z", dist.Normal(torch.zeros(L, K, D), 1.0).to_event(3))
        pyro.sample("x", dist.Categorical(logits=decoder(x, z)).to_event(1), obs=x)


def guide(decoder, x, mu, log_sigma):
    with pyro.plate("texts", len(x)):
        pyro.sample("z", dist.Normal(mu, log_sigma.exp()).to_event(3))


# %% [markdown]
# ## 3. Two rates
#
# For each batch q starts at the prior. A few *fast* steps of Adam maximise the ELBO over μ and log σ only, with fresh
# noise at each step and a learning rate that falls. Then one *slow* step, again with fresh noise, updates the decoder.


# %% tags=["sixty"]
def learn(decoder, slow, x, steps=8, rate=0.3):
    local = [torch.zeros(len(x), L, K, D, requires_grad=True) for _ in range(2)]  # mu and log sigma: the prior's
    fast = torch.optim.Adam(local)
    for s in range(steps):
        fast.param_groups[0]["lr"] = rate * (0.1 + 0.45 * (1 + math.cos(math.pi * s / (steps - 1))))
        fast.zero_grad()
        TraceMeanField_ELBO().differentiable_loss(model, guide, decoder, x, *local).backward(inputs=local)
        fast.step()
    loss = TraceMeanField_ELBO().differentiable_loss(model, guide, decoder, x, *local)
    slow.zero_grad()
    (loss / x.numel()).backward(inputs=list(decoder.parameters()))
    nn.utils.clip_grad_norm_(decoder.parameters(), 1.0)
    slow.step()
    return -loss.item() / len(x)  # the ELBO, nats a text


# %% [markdown]
# This is the whole model and its training, in sixty lines without imports and empty lines. `inputs=` selects the
# tensors that get a gradient: in a fast step the weights get none.
#
# ## The library's model, with the same weights and the same noise
#
# The library's decoder has the same sizes, and its weights have the same names, so that they can be copied. Both models
# are now trained on the same 120 batches, each with the same seed.

# %%
STEPS, RATE = 120, 0.01
pyro.set_rng_seed(3)
batches = [write_texts(32)[0] for _ in range(STEPS)]
theirs = ltm.Decoder(vocabulary=V, width=D, layers=L, heads=HEADS, thoughts=K, window=WINDOW, length=T)
start = deepcopy(theirs.state_dict())
ours = Decoder()
ours.load_state_dict(start)  # raises an error unless every name and shape is the same

# %%
slow = torch.optim.AdamW(ours.parameters(), lr=RATE, betas=(0.9, 0.95), weight_decay=0.0)
pyro.set_rng_seed(33)
our_elbo = torch.tensor([learn(ours, slow, x) for x in batches])

# %%
program = ltm.LatentThoughtModel(ltm.GaussianPrior(theirs.z_shape), theirs)
fast_loop = ltm.FastLoop(ltm.ELBO(), steps=8, learning_rate=0.3)
slow_step = ltm.SlowStep(ltm.ELBO(), learning_rate=RATE, weight_decay=0.0)
svi = ltm.DualRateSVI(program, ltm.MeanFieldGuide(theirs.z_shape), fast_loop, slow_step)
pyro.set_rng_seed(33)
their_elbo = torch.tensor([svi.step(x).elbo.mean().item() for x in batches])

# %%
apart = (our_elbo - their_elbo).abs()
figure, (left, right) = plt.subplots(1, 2, figsize=(9, 2.8), layout="constrained")
left.plot(-our_elbo, color=BLUE, linewidth=3, label="sixty lines")
left.plot(-their_elbo, color=ORANGE, linewidth=1, label="library")
for value, text in ((TRUTH, "the truth"), (NOTHING, "nothing known")):
    left.axhline(value, color="0.75", linestyle=":", linewidth=1)
    left.annotate(text, (STEPS, value), ha="right", va="bottom", fontsize=8, color=GREY)
left.set(xlabel="slow step", ylabel="-ELBO, nats a text")
left.legend(frameon=False)
right.semilogy(apart.clamp(min=1e-16), color=GREEN)
right.set(xlabel="slow step", ylabel="difference of the ELBOs, nats a text", ylim=(1e-16, 1))
plt.show()
print(f"the largest difference in the first 20 steps: {apart[:20].max():.0e} nats a text; in all: {apart.max():.0e}")
assert apart[:20].max() < 1e-9

# %% [markdown]
# The two curves coincide. After the first step the numbers agree to all digits but the last. From there on the rounding
# errors of float64 grow about tenfold every ten steps, because training is a chaotic system. So the library computes
# exactly what these sixty lines compute; and no two *long* runs can be compared digit by digit, on any machine.
#
# ## What have the thoughts learned?
#
# We fit q to the 240 held-out texts, with more fast steps, and plot its means. The model was never given the topics.

# %%
fast_loop.lasting(32).fit(program, svi.guide, texts)
means = svi.guide.posterior().mean.flatten(1).detach()
directions = torch.linalg.svd(means - means.mean(0), full_matrices=False).Vh[:2]
places = (means - means.mean(0)) @ directions.T
figure, axes = plt.subplots(figsize=(4.6, 3.6), layout="constrained")
for topic, colour in enumerate((BLUE, ORANGE, GREEN, PINK)):
    axes.scatter(*places[topics == topic].T, s=10, color=colour, label=f"topic {topic}")
axes.set(xlabel="first direction of μ", ylabel="second direction of μ")
axes.legend(frameon=False, fontsize=8)
plt.show()

# %% [markdown]
# Texts of one topic lie together, though after 120 steps not all topics are separated. How does the decoder use a
# thought? The next figure moves z in a straight line from the mean thought of one topic to that of another. It shows
# the distribution of the first word of a text, which has no context.


# %%
def first_word(share, start=0, end=1):
    """Probabilities of a text's first word, (V,), on the way between the mean thoughts of two topics."""
    ends = [means[topics == topic].mean(0).view(1, L, K, D) for topic in (start, end)]
    with torch.no_grad():
        return ours(texts[:1], (1 - share) * ends[0] + share * ends[1])[0, 0].softmax(-1)


def draw_walk(share, axes):
    axes.bar(range(V), first_word(share), color=[BLUE, BLUE, ORANGE, ORANGE, GREY, GREY, GREY, GREY])
    axes.set(ylim=(0, 0.5), xlabel="word", xticks=range(V), title=f"{share:.0%} of the way")
    return axes


figure, panels = plt.subplots(1, 5, figsize=(11, 2.2), layout="constrained", sharey=True)
for share, axes in zip((0.0, 0.25, 0.5, 0.75, 1.0), panels, strict=True):
    draw_walk(share, axes)
panels[0].set_ylabel("probability")
plt.show()

# %% tags=["slider"]
import ipywidgets


def walk(share=0.5):
    _, axes = plt.subplots(figsize=(4, 2.4), layout="constrained")
    draw_walk(share, axes)
    plt.show()


ipywidgets.interact(walk, share=(0.0, 1.0, 0.05))

# %% [markdown]
# ## How close are the bounds to the truth?
#
# The next cell computes bounds on held-out texts: the ELBO, and the importance-weighted bound with 64 draws, which is
# tighter. Both bound the cost of the *model* from above, and on average the cost of the model is at least that of the
# true distribution.


# %%
@torch.no_grad()
def look(program, guide):
    """ELBO and importance-weighted bound of every held-out text, in nats, each (N,)."""
    pyro.set_rng_seed(5)
    ltm.FastLoop(ltm.ELBO(), steps=32).fit(program, guide, texts)
    elbo = ltm.ELBO(particles=64).terms(program, guide, texts).elbo
    return elbo, ltm.ImportanceWeighted(particles=64).terms(program, guide, texts).objective


elbo, weighted = look(program, svi.guide)
for name, bound in (("ELBO", elbo), ("importance-weighted", weighted)):
    above = true_log_prob(texts) - bound
    print(f"{name}: {-bound.mean():.2f}, {above.mean():.2f} ± {above.std() / len(texts) ** 0.5:.2f} above the truth")

# %% [markdown]
# ## Changing one line
#
# In the library the parts of the sixty lines are exchangeable. The figure compares models with the same initial weights
# and the same 120 batches, each with one line changed. The bars are the importance-weighted bound, and the error bars
# are those of the difference to the truth, paired by text.


# %%
def train(prior=ltm.GaussianPrior, guide=ltm.MeanFieldGuide, slow=None):
    decoder = ltm.Decoder(vocabulary=V, width=D, layers=L, heads=HEADS, thoughts=K, window=WINDOW, length=T)
    decoder.load_state_dict(start)
    program, guide = ltm.LatentThoughtModel(prior(decoder.z_shape), decoder), guide(decoder.z_shape)
    slow_step = ltm.SlowStep(slow or ltm.ELBO(), learning_rate=RATE, weight_decay=0.0)
    svi = ltm.DualRateSVI(program, guide, ltm.FastLoop(ltm.ELBO(), steps=8), slow_step)
    pyro.set_rng_seed(33)
    for x in batches:
        svi.step(x)
    return look(program, guide)


results = {
    "the sixty lines": (elbo, weighted),
    "prior=MixturePrior": train(prior=ltm.MixturePrior),
    "guide=FullCovarianceGuide": train(guide=ltm.FullCovarianceGuide),
    "slow=ImportanceWeighted(8)": train(slow=ltm.ImportanceWeighted(particles=8)),
}

# %%
figure, axes = plt.subplots(figsize=(8, 2.6), layout="constrained")
for row, (_elbo, weighted) in enumerate(results.values()):
    above = true_log_prob(texts) - weighted
    axes.barh(row, above.mean(), xerr=above.std() / len(texts) ** 0.5, color=BLUE, height=0.6)
axes.set_yticks(range(len(results)), list(results))
axes.invert_yaxis()
axes.set(xlabel="importance-weighted bound above the truth, nats a text (one seed)")
plt.show()

# %% [markdown]
# One seed and 120 steps give no ranking. `ltm compare priors`, `ltm compare guides` and `ltm compare bounds` make
# careful comparisons, and notebooks 6, 7 and 8 show what each part can and cannot do.
#
# ## Exercises
#
# **1.** If the topic of every text were known at no cost, what would a text cost on average, in nats?

# %% tags=["exercise-1"]
cost_when_told = None  # your answer

# %% tags=["check-1"]
if cost_when_told is None:
    print("Exercise 1 is waiting for you.")
else:
    exact = -LENGTH * (chances[0] * chances[0].log()).sum().item()
    assert abs(cost_when_told - exact) < 0.05, "16 times the entropy of one word of a known topic, in nats"
    print(f"Exercise 1: right. The topic itself costs nearly log 4 = {math.log(4):.2f} of the {TRUTH:.2f} nats.")

# %% [markdown]
# **2.** Write the model of the sixty lines with a prior of standard deviation 2. (`decoder`, and the arguments, as
# above.)


# %% tags=["exercise-2"]
def wide_model(decoder, x, mu, log_sigma):
    return None  # your program


# %% tags=["check-2"]
found = pyro.poutine.trace(wide_model).get_trace(ours, texts[:5], None, None).nodes
if "z" not in found:
    print("Exercise 2 is waiting for you.")
else:
    assert found["z"]["fn"].event_shape == (L, K, D), "z of a text is one event: .to_event(3)"
    assert found["z"]["fn"].batch_shape == (5,), "one z for each text: sample within the plate"
    spread = found["z"]["fn"].base_dist.scale
    assert torch.allclose(spread, torch.full_like(spread, 2.0)), "Normal takes the standard deviation, not the variance"
    assert found["x"]["is_observed"], "the text is observed"
    print("Exercise 2: right. In the library: GaussianPrior(decoder.z_shape, sigma=2.0).")

# %% [markdown]
# **3.** The importance-weighted bound of notebook 1, from log-weights `log_w` (S, N) of S draws of z from q: write it.


# %% tags=["exercise-3"]
def importance_weighted(log_w):
    return None  # your answer, shape (N,)


# %% tags=["check-3"]
log_w = torch.tensor([[0.0, -3.0], [math.log(3.0), -3.0]])
mine = importance_weighted(log_w)
if mine is None:
    print("Exercise 3 is waiting for you.")
else:
    expected = torch.tensor([math.log(2.0), -3.0])
    assert mine.shape == (2,), "one number a text: the draws stand in the first dimension"
    assert torch.allclose(mine, expected), "the logarithm of the mean of the weights: neither the mean log nor the sum"
    print("Exercise 3: right.")

# %% [markdown]
# Worked solutions stand in `solutions/03_sixty_lines.py`. Next: 4, what happens in the fast loop.
