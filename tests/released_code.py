"""The released code's decoder and bound in plain PyTorch, without any module of the library, and files like its own."""

import re
from typing import NamedTuple

import torch
from torch.nn.functional import cross_entropy, embedding, silu


class Sizes(NamedTuple):
    vocabulary: int
    width: int
    layers: int
    heads: int
    thoughts: int  # N_z, of all layers together
    window: int
    length: int

    @property
    def inner(self):
        return (8 * self.width // 3 + 31) // 32 * 32

    def stated(self):
        names = ("vocab_size", "dim", "n_layers", "n_heads", "max_z_len", "window_size", "max_seq_len")
        return dict(zip(names, self, strict=True))


SIZES = [
    Sizes(vocabulary=23, width=32, layers=2, heads=4, thoughts=8, window=5, length=30),  # 30 is no multiple of 8
    Sizes(vocabulary=11, width=16, layers=1, heads=2, thoughts=3, window=1, length=13),
    Sizes(vocabulary=17, width=48, layers=3, heads=2, thoughts=6, window=40, length=24),
]
SIZE = SIZES[0]


class Reference:
    """The authors' decoder, from what is known of it; weights large enough for every part to matter."""

    def __init__(self, sizes):
        self.sizes, width, inner = sizes, sizes.width, sizes.inner
        self.weights = {"tok_embeddings.weight": torch.randn(sizes.vocabulary, width)}
        self.weights["output.weight"] = self.weights["tok_embeddings.weight"]
        self.weights["norm.weight"] = 1 + 0.3 * torch.randn(width)
        for layer in (f"layers.{i}" for i in range(sizes.layers)):
            for norm in ("attention_norm", "cross_attention_norm", "ffn_norm"):
                self.weights[f"{layer}.{norm}.weight"] = 1 + 0.3 * torch.randn(width)
            for name in (f"{kind}.{part}" for kind in ("attention", "cross_attention") for part in "qkvo"):
                self.weights[f"{layer}.{name[:-1]}w{name[-1]}.weight"] = 1.5 * torch.randn(width, width) / width**0.5
            for part, shape in {"w1": (inner, width), "w2": (width, inner), "w3": (inner, width)}.items():
                self.weights[f"{layer}.feed_forward.{part}.weight"] = torch.randn(shape) / shape[1] ** 0.5

    def apply(self, name, x):
        return x @ self.weights[f"{name}.weight"].T

    def norm(self, name, x):
        return x / (x.pow(2).mean(-1, keepdim=True) + 1e-5).sqrt() * self.weights[f"{name}.weight"]

    def turned(self, x, positions):
        """RoPE: channels 2i and 2i + 1 turn by position / 10,000^(2i / d); x is (B, positions, H, d)."""
        d = x.shape[-1]
        angles = positions[:, None, None] * 10_000.0 ** (-torch.arange(0, d, 2) / d)  # (positions, 1, d / 2)
        even, odd = x[..., 0::2], x[..., 1::2]
        turned = (even * angles.cos() - odd * angles.sin(), even * angles.sin() + odd * angles.cos())
        return torch.stack(turned, -1).flatten(-2)

    def attention(self, name, h, source, positions, source_positions, sees):
        q, k, v = (
            self.apply(f"{name}.{part}", x).unflatten(-1, (self.sizes.heads, -1))
            for part, x in (("wq", h), ("wk", source), ("wv", source))
        )
        q, k = self.turned(q, positions), self.turned(k, source_positions)
        scores = torch.einsum("bihd,bjhd->bhij", q, k) / q.shape[-1] ** 0.5
        scores = scores.masked_fill(~sees, -torch.inf)
        return self.apply(f"{name}.wo", torch.einsum("bhij,bjhd->bihd", scores.softmax(-1), v).flatten(-2))

    def logits(self, tokens, z):
        """Of the tokens after `tokens` (B, T), from z (B, N_z, D)."""
        size = self.sizes
        z = z.view(len(z), size.layers, size.thoughts // size.layers, size.width)
        places = torch.arange(tokens.shape[1])
        z_places = torch.arange(0, size.length, size.length // size.thoughts)[: z.shape[2]]
        back = places[:, None] - places
        recent, every = (back >= 0) & (back < size.window), torch.tensor(True)
        h = embedding(tokens, self.weights["tok_embeddings.weight"])
        for i in range(size.layers):
            name = f"layers.{i}"
            n = self.norm(f"{name}.attention_norm", h)
            h = h + self.attention(f"{name}.attention", n, n, places, places, recent)
            n = self.norm(f"{name}.cross_attention_norm", h)
            h = h + self.attention(f"{name}.cross_attention", n, z[:, i], places, z_places, every)
            n, feed = self.norm(f"{name}.ffn_norm", h), f"{name}.feed_forward"
            h = h + self.apply(f"{feed}.w2", silu(self.apply(f"{feed}.w1", n)) * self.apply(f"{feed}.w3", n))
        return self.apply("output", self.norm("norm", h))

    def neg_elbo(self, tokens, targets, mu, log_var, noise):
        """Per sequence; targets of -1 are not scored; mu, log_var and noise are (B, N_z, D)."""
        kl = -0.5 * (1 + log_var - mu**2 - log_var.exp()).sum((1, 2))
        logits = self.logits(tokens, mu + noise * (0.5 * log_var).exp())
        nats = cross_entropy(logits.transpose(1, 2), targets, ignore_index=-1, reduction="none")
        return nats.sum(1) + kl


def liger(name):
    """Their names with fused kernels."""
    return name.replace(".w1.", ".gate_proj.").replace(".w2.", ".down_proj.").replace(".w3.", ".up_proj.")


def compiled(name):
    """Their names when each attention is compiled on its own."""
    return re.sub(r"attention\.w", "attention._orig_mod.w", name)


def distributed(name):
    return f"module._orig_mod.{compiled(liger(name))}"


def saved(folder, weights, rename=str, **beside):
    path = folder / "weights.pt"
    weights = {rename(name): value for name, value in weights.items()}
    torch.save({"model": weights, **beside} if beside else weights, path)
    return path
