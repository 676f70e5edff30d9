"""The autoregressive baseline: a decoder without thoughts."""

from __future__ import annotations

import pyro
from torch import Tensor

from ltm_pyro.errors import InputError
from ltm_pyro.instances import require_instance
from ltm_pyro.models.abstract import AbstractModel
from ltm_pyro.models.decoder import AbstractDecoder
from ltm_pyro.models.token_sequence import TokenSequence


class AutoregressiveModel(AbstractModel):
    r"""Language model without thoughts, :math:`p_\theta(x) = \prod_t p_\theta(x_t \mid x_{t-w:t-1})`.

    The reference in every table. Without a latent site, every bound of the model is its exact log-likelihood.
    Site: `x`, batch (B,), event (T,).

    Args:
        decoder: one without thoughts, such as a `Decoder` with `thoughts=0`.

    Raises:
        InputError: if the decoder has thoughts.
    """

    def __init__(self, decoder: AbstractDecoder) -> None:
        super().__init__()
        require_instance("decoder", decoder, AbstractDecoder, "Decoder(vocabulary=1000, thoughts=0)")
        if decoder.z_shape[1]:
            raise InputError("an autoregressive model has no thoughts: build its decoder with thoughts=0")
        self.decoder, self.prior = decoder, None

    def forward(
        self,
        x: Tensor | None = None,
        mask: Tensor | None = None,
        batch_size: int | None = None,
        previous: Tensor | None = None,
    ) -> Tensor:
        length = None if x is None else x.shape[-1]
        size = batch_size or (1 if x is None else len(x))
        with pyro.plate("sequences", size, dim=-1):
            text = TokenSequence(self.decoder, None, mask, previous, length, batch_shape=(size,))
            return pyro.sample("x", text, obs=x)
