"""The Latent Thought Model as a Pyro program."""

from __future__ import annotations

import pyro
from torch import Tensor, nn

from ltm_pyro.errors import InputError
from ltm_pyro.instances import require_instance
from ltm_pyro.models.abstract import AbstractModel
from ltm_pyro.models.decoder import AbstractDecoder
from ltm_pyro.models.priors import AbstractPrior
from ltm_pyro.models.rewards import AbstractReward
from ltm_pyro.models.rewards.abstract import checked_reward
from ltm_pyro.models.rewards.site import label_site
from ltm_pyro.models.token_sequence import TokenSequence
from ltm_pyro.models.transports import AbstractTransport


class LatentThoughtModel(AbstractModel):
    r"""Latent Thought Model: a prior over thoughts z, and a decoder that generates the text x from them.

    .. math:: p_\theta(x, z) = p(z)\,p_\theta(x \mid z)

    (Kong et al., 2025, arXiv 2502.01567, section 2.) Run forward, the model writes text; conditioned on x, it scores x.
    Sites: `z`, batch (B,), event (L, K, D); `x`, batch (B,), event (T,).

    Where the prior's thoughts are of another width than the decoder, or one-hot, a learned linear projection maps them
    to the decoder's width. For one-hot thoughts the projection is the codebook: one vector for each code.

    With a transport T the decoder reads T(z) instead, and the site `z` is z0:
    :math:`p_\theta(x, z_0) = p(z_0)\,p_\theta(x \mid T(z_0))` (Kong et al., 2026, arXiv 2602.06584). It takes the place
    of the projection; for one-hot thoughts it reads the codebook's vectors.

    With a reward head there is a third site, `r`, batch (B,), event (): the text's label, :math:`p_\theta(r \mid z)`,
    a child of z beside x. Missing labels are marginal, so that the model is semi-supervised.

    Args:
        prior: a module whose forward returns p(z), of event shape `prior.z_shape`: (L, K) as the decoder's, any width.
        decoder: the likelihood of a text given its thoughts, such as a `Decoder`.
        transport: T, such as a `TransformerTransport`; None for none.
        reward: the likelihood of a text's label given its thoughts, built with `prior.z_shape`; None without labels.

    Attributes:
        projection: the linear map; None where there is none.

    Raises:
        InputError: if prior and decoder disagree about layers or thoughts, or the transport's shapes are not theirs.

    Example:
        >>> from ltm_pyro.models import Decoder, GaussianPrior
        >>> decoder = Decoder(vocabulary=10, width=8, layers=1, heads=2, thoughts=2, length=6)
        >>> model = LatentThoughtModel(GaussianPrior(decoder.z_shape), decoder)
        >>> model(batch_size=3).shape
        torch.Size([3, 6])
    """

    prior: AbstractPrior
    projection: nn.Linear | None
    transport: AbstractTransport | None

    def __init__(
        self,
        prior: AbstractPrior,
        decoder: AbstractDecoder,
        transport: AbstractTransport | None = None,
        reward: AbstractReward | None = None,
    ) -> None:
        super().__init__()
        require_instance("prior", prior, AbstractPrior, "GaussianPrior(decoder.z_shape)")
        require_instance("decoder", decoder, AbstractDecoder, "Decoder(vocabulary=1000)")
        if tuple(prior.z_shape[:2]) != tuple(decoder.z_shape[:2]):
            raise InputError(
                f"the prior models z of shape {tuple(prior.z_shape)}, the decoder expects (L, K, D) = "
                f"{decoder.z_shape}: build the prior with decoder.z_shape, or with another D alone"
            )
        self.prior, self.decoder, self.projection, self.transport = prior, decoder, None, transport
        width = prior.z_shape[-1]
        if transport is not None:
            _refuse_unfit(transport, prior, decoder)
        if prior.discrete or (transport is None and width != decoder.z_shape[-1]):
            self.projection = nn.Linear(width, decoder.z_shape[-1], bias=False)
            nn.init.normal_(self.projection.weight, std=prior.square_norm**-0.5)  # so that a thought has unit variance
        self.reward = checked_reward(reward, prior.z_shape)

    def thoughts(self, z: Tensor) -> Tensor:
        vectors = z if self.projection is None else self.projection(z)
        return vectors if self.transport is None else self.transport(vectors)

    def forward(
        self,
        x: Tensor | None = None,
        mask: Tensor | None = None,
        batch_size: int | None = None,
        previous: Tensor | None = None,
        r: Tensor | None = None,
        prompts: Tensor | None = None,
    ) -> Tensor:
        """Score x, and r where it is given, or write texts of the decoder's length with their labels.

        Args:
            x, mask, batch_size, previous: as of `AbstractModel`.
            r: labels to condition on, shape (B,): indices of values, -1 where one is missing, or numbers, NaN where
                one is missing. If None, the labels of given texts are marginal, and those of written ones are sampled.
            prompts: number of leading tokens that are each text's prompt, (B,), for a reward head that reads it.

        Returns:
            x, shape (B, T).
        """
        length = None if x is None else x.shape[-1]
        with pyro.plate("sequences", batch_size or (1 if x is None else len(x)), dim=-1):
            z = pyro.sample("z", self.prior())
            text = pyro.sample("x", TokenSequence(self.decoder, self.thoughts(z), mask, previous, length), obs=x)
            label_site(self.reward, z, text, r, prompts, writes=x is None)
            return text


def _refuse_unfit(transport: AbstractTransport, prior: AbstractPrior, decoder: AbstractDecoder) -> None:
    """Refuse a transport whose shapes are not those of prior and decoder.

    Raises:
        InputError: with the shapes to build it with.
    """
    require_instance("transport", transport, AbstractTransport, "TransformerTransport(prior.z_shape, decoder.z_shape)")
    source, target = tuple(decoder.z_shape if prior.discrete else prior.z_shape), tuple(decoder.z_shape)
    if (transport.z_shape, transport.thought_shape) != (source, target):
        behind = ", from the codebook's vectors," if prior.discrete else ""
        raise InputError(
            f"the transport maps {transport.z_shape} to {transport.thought_shape}, where prior and decoder need "
            f"{source}{behind} to {target}: build it with {type(transport).__name__}({source}, {target})"
        )
