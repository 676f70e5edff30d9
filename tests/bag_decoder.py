"""A decoder that has nothing in common with the Transformer: a bag of the tokens read so far."""

import torch
from torch import nn

from ltm_pyro import AbstractDecoder


class BagDecoder(AbstractDecoder):
    """Hidden states from the last token, the mean of all before it, and the mean of the thoughts; two members alone."""

    def __init__(self, vocabulary: int, length: int, bos_id: int = 0, size: int = 8, thoughts: int = 2) -> None:
        super().__init__((1, thoughts, size), vocabulary, length, bos_id)
        self.last, self.bag = nn.Embedding(vocabulary, size), nn.Embedding(vocabulary, size)
        self.mix, self.head = nn.Linear(size, size), nn.Linear(size, vocabulary)

    def features(self, tokens, z=None):
        count = torch.arange(1, tokens.shape[-1] + 1, device=tokens.device)[:, None]
        h = self.last(tokens) + self.bag(tokens).cumsum(-2) / count
        if z is not None:
            h = h + z.mean((-3, -2))[..., None, :]
        return self.mix(h).tanh()

    def unembed(self, h):
        return self.head(h)
