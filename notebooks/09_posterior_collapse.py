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
# # 9 · Why do my thoughts say nothing?
#
# [![Open Colab](https://colab.research.google.com/assets/colab-badge.svg)](https://colab.research.google.com/)
# (there: *Upload*, and choose this file)
#
# In training the loss falls, and the KL falls to zero: q equals the prior for every text, and the thoughts carry no
# information. This is *posterior collapse*. Is it a failure of training, or is it optimal for the model?
#
# **At the end you will know**
# - how collapse looks while it happens, and three numbers that diagnose it;
# - why a decoder that sees its whole past *should* ignore its thoughts, by one equation;
# - what KL annealing, free bits, a shorter window and the initial q each change, and which of them help;
# - why a large KL does not show that thoughts are useful.
#
# This notebook builds on notebooks 4 and 7.

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
    AmortisedGuide,
    Decoder,
    DualRateSVI,
    FastLoop,
    FreeBits,
    GaussianPrior,
    KLWeighted,
    LatentThoughtModel,
    LinearSchedule,
    MeanFieldGuide,
    SlowStep,
)

plt.rcParams.update({"figure.dpi": 80, "axes.spines.top": False, "axes.spines.right": False})
BLUE, ORANGE, GREEN, GREY, PINK = "#0072B2", "#D55E00", "#009E73", "0.5", "#CC79A7"

# %% [markdown]
# ## A language with a hidden topic
#
# Every text has one of six topics. Each of its 24 tokens is, with probability one half, one of four words of its topic,
# and otherwise one of five words that all topics share. A thought *could* represent the topic.

# %%
TOPICS, OWN, SHARED, LENGTH = 6, 4, 5, 24
VOCABULARY = 1 + TOPICS * OWN + SHARED  # token 0 stands before every text


def write_texts(count):
    """Texts (N, T), and their topics (N,)."""
    topic = torch.randint(TOPICS, (count,))
    own = 1 + OWN * topic[:, None] + torch.randint(OWN, (count, LENGTH))
    shared = 1 + TOPICS * OWN + torch.randint(SHARED, (count, LENGTH))
    return torch.where(torch.rand(count, LENGTH) < 0.5, own, shared), topic


coin, log_own, log_shared = math.log(2), 0.5 * math.log(OWN), 0.5 * math.log(SHARED)
knows_topic = coin + log_own + log_shared  # nats/token
knows_nothing = knows_topic + 0.5 * math.log(TOPICS)
print(f"nats/token: {knows_topic:.3f} when the topic is known, {knows_nothing:.3f} when nothing is")
print(f"the topic itself: log {TOPICS} = {math.log(TOPICS):.2f} nats a text, {math.log(TOPICS) / LENGTH:.3f} a token")


# %% [markdown]
# One function trains every model of this notebook: 150 slow steps, and after every ten a validation on 100 held-out
# texts by the ELBO with fresh noise, whatever the training objective is.


# %%
def train(guide, window, slow=None, fast_steps=4, steps=150):
    """The model, its guide, held-out texts with their topics, and the log: step, -ELBO and KL, nats/token."""
    pyro.set_rng_seed(9)
    decoder = Decoder(vocabulary=VOCABULARY, width=24, layers=1, heads=2, thoughts=1, window=window, length=LENGTH)
    model, guide = LatentThoughtModel(GaussianPrior(decoder.z_shape), decoder), guide(decoder.z_shape)
    guide.prepare(VOCABULARY)
    slow_step = SlowStep(slow or ELBO(), learning_rate=0.01, warmup=5, weight_decay=0.0)
    svi = DualRateSVI(model, guide, FastLoop(ELBO(), steps=fast_steps), slow_step)
    (held_out, topics), log = write_texts(100), []
    for step in range(1, steps + 1):
        svi.step(write_texts(32)[0])
        if step % 10 == 0 or step == 1:
            terms = look(model, guide, held_out)
            log.append((step, -terms.elbo.mean() / LENGTH, terms.kl.mean() / LENGTH))
    return {"model": model, "guide": guide, "x": held_out, "topics": topics, "log": torch.tensor(log)}


def look(model, guide, x):
    FastLoop(ELBO(), steps=16).fit(model, guide, x)
    with torch.no_grad():
        return ELBO(particles=4).terms(model, guide, x)


def encoder(z_shape):
    return AmortisedGuide(z_shape, width=16, blocks=1)


# %% [markdown]
# ## Collapse during training
#
# We train two models with an encoder as their guide. They differ in one number: the window of the decoder, which is the
# whole past or one token.

# %%
runs = {"window 24": train(encoder, window=LENGTH), "window 1": train(encoder, window=1)}


# %%
def draw(runs, colours=(BLUE, GREEN, ORANGE, PINK, GREY)):
    figure, (left, right) = plt.subplots(1, 2, figsize=(10, 3.2), layout="constrained")
    for (name, run), colour in zip(runs.items(), colours, strict=False):
        step, cost, kl = run["log"].T
        left.plot(step, cost, color=colour, label=name)
        right.plot(step, LENGTH * kl, color=colour)
    for value, text in ((knows_topic, "topic known"), (knows_nothing, "nothing known")):
        left.axhline(value, color="0.75", linestyle=":", linewidth=1)
        left.annotate(text, (150, value), ha="right", va="bottom", fontsize=7, color="0.5")
    right.axhline(math.log(TOPICS), color="0.75", linestyle=":", linewidth=1)
    right.annotate("what a topic tells", (150, math.log(TOPICS)), ha="right", va="bottom", fontsize=7, color="0.5")
    left.set(xlabel="slow step", ylabel="-ELBO, nats/token", ylim=(2.1, 3.5))
    right.set(xlabel="slow step", ylabel="KL, nats/text")
    left.legend(frameon=False, fontsize=8)
    plt.show()


draw(runs)

# %% [markdown]
# With the whole past in the window the KL never leaves zero: the posterior collapses. Yet that model has the *better*
# ELBO. With a window of one token the KL is zero at first; then the model begins to use its thoughts, the KL rises, and
# the cost falls.
#
# ## Why collapse can be optimal
#
# By the chain rule the tokens of a text reveal its topic by themselves, at a cost of log 6 nats spread over the first
# few tokens. A thought can give the topic at once, at a KL of log 6 nats:
#
# $$\underbrace{-\log p(x \mid \text{topic})}_{\text{told}} + \underbrace{\log 6}_{\mathrm{KL}}
#   \;=\; -\log p(x) .$$
#
# The two costs are *equal*. If the decoder can infer the topic from its past, a thought gains nothing, and while q is
# not exact it costs more. Collapse is then the optimum, and not a failure. Thoughts gain only where the context does
# not give the information: with a short window, a weak decoder, or long-range structure that is hard to learn.
#
# In this language we can compute exactly how much a thought can gain. Half of all words belong to the topic, and the
# first of them in the window reveals it. With a window of w tokens the topic is still unknown with probability 2⁻ʷ; the
# next token then costs ½ log 6 nats more than with a known topic.

# %%
windows = range(13)


def saved(window, length):
    """Nats that telling the topic saves, over a text, for a reader of the last `window` tokens."""
    seen = torch.arange(length).clamp(max=window)  # by each token
    return 0.5 * math.log(TOPICS) * (0.5**seen).sum().item()


def draw_saved(length):
    _, axes = plt.subplots(figsize=(6, 3), layout="constrained")
    axes.axhline(math.log(TOPICS), color=ORANGE, label="what telling the topic costs: log 6")
    axes.plot(windows, [saved(w, length) for w in windows], "o-", color=BLUE, label="what telling it saves")
    axes.set(xlabel="tokens that the decoder sees", ylabel="nats/text", ylim=(0, None))
    axes.set_title(f"texts of {length} tokens", fontsize=9)
    axes.legend(frameon=False)
    plt.show()


draw_saved(LENGTH)

# %% [markdown]
# With a window of one token, knowing the topic saves 11 nats per text, for a KL of 1.8; from seven tokens on it saves
# hardly more than the KL. With the whole past in the window, the saving equals the KL for texts of any length: this is
# the equation above. Longer texts increase the saving with every *short* window, because the KL is paid once. Move the
# slider:

# %% tags=["slider"]
from ipywidgets import interact

interact(draw_saved, length=(4, 96, 4))

# %% [markdown]
# ## Diagnosis
#
# Three numbers for each run: the KL; how many dimensions of z are *active* (their posterior mean varies over texts by
# more than 0.01); and whether the posterior mean reveals the topic (the share of texts whose nearest other text, by
# posterior means, has the same topic).


# %%
def diagnose(run):
    terms = look(run["model"], run["guide"], run["x"])
    mean = run["guide"].posterior().mean.flatten(1).detach()
    active = int((mean.var(0) > 0.01).sum())
    distance = torch.cdist(mean, mean).fill_diagonal_(math.inf)
    found = (run["topics"][distance.argmin(1)] == run["topics"]).double().mean().item()
    return terms.kl.mean().item(), active, found


for name, run in runs.items():
    kl, active, found = diagnose(run)
    print(f"{name}: KL {kl:.2f} nats/text, {active} of 24 dimensions active, nearest has the topic: {found:.0%}")

# %%
figure, panels = plt.subplots(1, 2, figsize=(8, 3.4), layout="constrained")
for (name, run), axes in zip(runs.items(), panels, strict=True):
    look(run["model"], run["guide"], run["x"])
    mean = run["guide"].posterior().mean.flatten(1).detach()
    directions = torch.linalg.svd(mean - mean.mean(0), full_matrices=False).Vh[:2]
    places = mean @ directions.T
    axes.scatter(*places.T, c=run["topics"], cmap="tab10", s=14)
    axes.set(title=f"{name}: posterior means, coloured by topic", xlim=(-3.5, 3.5), ylim=(-3.5, 3.5))
    axes.title.set_fontsize(9)
plt.show()

# %% [markdown]
# The posterior means of a collapsed run all lie at the prior's mean; those of the other run are sorted by topic. Note
# the third number: even in the collapsed run the nearest text nearly always has the same topic, because the encoder's
# means still differ slightly between topics, by far less than the noise of q. Measures that ignore *scale* (neighbours,
# probes, figures with free axes) cannot detect collapse; the KL and the active dimensions can. On a run,
# `ltm inspect RUN` reports them, and says at the top of its report if the run has collapsed.
#
# ## Three remedies on the collapsed model
#
# **KL annealing** starts with a KL weight of zero (Bowman et al., 2016). **Free bits** never penalises the first λ nats
# of the KL (Kingma et al., 2016). Neither is a bound; both are only for training, and validation still uses the ELBO.

# %%
remedies = {
    "nothing": runs["window 24"],
    "annealed, 0 to 1 in 100 steps": train(encoder, LENGTH, slow=KLWeighted(LinearSchedule(0.0, 1.0, steps=100))),
    "2 free nats a layer": train(encoder, LENGTH, slow=FreeBits(2.0, per="layer")),
}
draw(remedies)

# %% [markdown]
# With annealing the KL rises while its weight is small; as the weight returns to 1, the KL falls again. Free
# bits keep the KL up, but the ELBO is *worse* for it. Both agree with the equation above: the cause, a decoder that
# needs no thoughts, remains.
#
# ## A shorter window
#
# A shorter window removes the cause: the decoder sees less of its past. With which windows do thoughts carry
# information?

# %%
windows = [1, 2, 4, 8, 24]
by_window = {w: runs[f"window {w}"] if f"window {w}" in runs else train(encoder, w) for w in windows}
kl = [diagnose(by_window[w])[0] for w in windows]
costs = [by_window[w]["log"][-3:, 1].mean().item() for w in windows]

# %%
figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3), layout="constrained")
left.plot(windows, kl, "o-", color=GREEN)
left.set(ylabel="KL, nats/text")
right.plot(windows, costs, "o-", color=BLUE)
right.axhline(knows_topic + math.log(TOPICS) / LENGTH, color="0.75", linestyle=":", label="the best there is")
right.set(ylabel="-ELBO, nats/token")
right.legend(frameon=False)
for axes in (left, right):
    axes.set_xscale("log", base=2)
    axes.set_xticks(windows, [str(w) for w in windows])
    axes.set_xlabel("window, tokens")
plt.show()

# %% [markdown]
# The shorter the window, the more information the thoughts carry. On *this* language it does not improve the model: the
# context gives everything that thoughts can give, and the widest window has the best number. A short window makes
# thoughts replace a long context; compare the result with a model that has the long context (`docs/thoughts.md` does).
#
# ## A narrow initial q in the fast loop
#
# A fast loop fits q to each text, and cannot collapse because of a poor encoder. It can fail in the opposite way. The
# paper's code starts q not at the prior but narrow, at σ = 0.082, and takes 16 steps. What is the effect of a narrow
# start here?


# %%
def narrow(z_shape):
    return MeanFieldGuide(z_shape, sigma=0.082)


starts = {
    "encoder": runs["window 1"],
    "fast loop from the prior": train(MeanFieldGuide, window=1),
    "fast loop from σ = 0.082": train(narrow, window=1),
}
draw(starts)

# %% [markdown]
# The narrow start has by far the largest KL of this notebook, and by far the worst ELBO. Every narrow dimension has a
# KL, whether it carries information or not: log 1/0.082 - 1/2 = 2.0 nats each at the start, and the few fast steps
# cannot widen them all again. **A large KL does not show that thoughts are useful.** The gain from fitting q, prior
# minus ELBO, does; `ltm evaluate` prints it.

# %%
price = math.log(1 / 0.082) - 0.5 + 0.082**2 / 2
figure, axes = plt.subplots(figsize=(6, 2.8), layout="constrained")
for (name, run), colour in zip(starts.items(), (BLUE, GREEN, ORANGE), strict=True):
    look(run["model"], run["guide"], run["x"])
    sigma = run["guide"].posterior().base_dist.scale.detach().flatten().clamp(max=1.5)
    axes.hist(sigma.numpy(), bins=60, range=(0, 1.5), histtype="step", color=colour, density=True, label=name)
axes.set(xlabel="σ of q, all dimensions and texts (the prior's is 1)", ylabel="density", yticks=[])
axes.legend(frameon=False, fontsize=8, loc="upper left")
plt.show()
print(f"KL of one dimension that only starts narrow: {price:.2f} nats")

# %% [markdown]
# ## Exercises
#
# **1.** A text has one of 50 equally likely topics. What is the KL, in nats per text, of a thought that gives the topic
# and nothing else?

# %% tags=["exercise-1"]
least_kl = None  # your answer

# %% tags=["check-1"]
if least_kl is None:
    print("Exercise 1 is waiting for you.")
else:
    assert abs(least_kl - math.log(50)) < 0.01, "the mutual information of text and thought, in nats, not in bits"
    print("Exercise 1: right.")

# %% [markdown]
# **2.** Write `is_collapsed(kl, tokens)`, with `ltm inspect`'s limit: less than 0.001 nats/token, from the KL of
# every text (N,) in nats and the number of tokens of every text (N,).


# %% tags=["exercise-2"]
def is_collapsed(kl, tokens):
    return None  # your answer


# %% tags=["check-2"]
if is_collapsed(torch.ones(2), torch.ones(2)) is None:
    print("Exercise 2 is waiting for you.")
else:
    uneven = torch.tensor([0.5, 0.0]), torch.tensor([10.0, 990.0])
    assert bool(is_collapsed(*uneven)), "0.5 nats in 1,000 tokens are 0.0005 a token: sum both, then divide"
    assert not is_collapsed(torch.full((3,), 2.0), torch.full((3,), 24.0)), "2 nats in 24 tokens are no collapse"
    print("Exercise 2: right.")

# %% [markdown]
# **3.** Choose an objective for the slow step with which the model with an encoder and window 24 ends with a KL of more
# than 0.5 nats per text. (It is possible. Does it improve the ELBO?)

# %% tags=["exercise-3"]
my_objective = None  # your answer

# %% tags=["check-3"]
if my_objective is None:
    print("Exercise 3 is waiting for you.")
else:
    mine = train(encoder, LENGTH, slow=my_objective)
    reached, *_ = diagnose(mine)
    assert reached > 0.5, f"its KL is {reached:.2f} nats a text"
    worse = (mine["log"][-3:, 1].mean() - runs["window 24"]["log"][-3:, 1].mean()).item()
    print(f"Exercise 3: right. Its honest -ELBO is {worse:+.3f} nats/token from the collapsed model's.")

# %% [markdown]
# Worked solutions stand in `solutions/09_posterior_collapse.py`. Next: 10, is the posterior right?
