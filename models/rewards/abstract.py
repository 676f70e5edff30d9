"""The base class of reward heads p(r | z, prompt)."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.distributions import Distribution

from ltm_pyro.errors import InputError
from ltm_pyro.instances import checked_shape, require_instance
from ltm_pyro.ranges import bounded, whole
from ltm_pyro.recorded import Recorded

Z_DIMS = 3  # L, K and D


class AbstractReward(Recorded, nn.Module, ABC):
    r"""Reward head: the distribution of a label r of a text, given the text's thoughts and, if asked, its prompt.

    .. math:: p_\theta(r \mid z, c) = p\big(r;\, f_\theta(z, c)\big), \qquad c = \tfrac1P \sum_{t \le P} e_{x_t}

    f is an MLP with one hidden layer, or a linear map, of the value of the site `z` (before any projection or
    transport), and c the mean of learned embeddings of the prompt's tokens, a table of the head's own, so that every
    decoder serves. The parameters are global ones, part of θ. The last layer begins at zero: no z is preferred. (A
    return head on latent plans: Kong et al., 2024, arXiv 2402.04647.)

    Attributes:
        numeric: whether r is a number, and not the index of a value.

    Args:
        z_shape: (L, K, D) of the site `z`.
        outputs: number of outputs of f.
        hidden: width of the hidden layer; 0 makes f linear.
        pooled: read the mean of z over layers and thoughts, (D,), instead of all of z.
        prompt: read the prompt too.

    Raises:
        InputError: for a negative width.
    """

    numeric: ClassVar[bool] = False

    @bounded(hidden=whole(0), outputs=whole(1))
    def __init__(
        self,
        z_shape: tuple[int, int, int],
        outputs: int = 1,
        hidden: int = 64,
        pooled: bool = False,
        prompt: bool = False,
    ) -> None:
        super().__init__()
        self.z_shape: tuple[int, int, int] = checked_shape(z_shape)
        layers, thoughts, width = self.z_shape
        self.hidden, self.pooled, self.prompt = hidden, pooled, prompt
        self.width = width if pooled else layers * thoughts * width  # of what f reads of z
        self.read = nn.Linear(self.width, hidden) if hidden else None
        self.out = nn.Linear(hidden or self.width, outputs)
        nn.init.zeros_(self.out.weight)
        nn.init.zeros_(self.out.bias)
        self.embedding: nn.Embedding | None = None

    def prepare(self, vocabulary: int) -> None:
        """Hook called once with the vocabulary size V, before any batch: makes the table of a prompt's embeddings."""
        if self.prompt:
            self.embedding = nn.Embedding(vocabulary, self.hidden or self.out.out_features)
            nn.init.zeros_(self.embedding.weight)

    def prepare_labels(self, values: Sequence[str], labels: Tensor) -> None:
        """Hook called once before training, with the values that labels have, and the training texts' labels.

        Args:
            values: the distinct values.
            labels: indices among them, (N,), -1 without one.

        Raises:
            InputError: if the head cannot learn such labels.
        """

    @abstractmethod
    def set_marginal(self, r: Tensor) -> None:
        """Make p(r | z) the distribution of these labels, for every z; the hidden layer stays as it is.

        Args:
            r: labels, shape (N,), all of them known.
        """

    @abstractmethod
    def forward(self, z: Tensor, context: Tensor | None = None) -> Distribution:
        """p(r | z, c), of batch shape (..., B) and event shape ().

        Args:
            z: values of the site `z`, shape (..., B, L, K, D).
            context: as `context_of` returns it; None without a prompt.
        """

    @abstractmethod
    def known(self, r: Tensor) -> Tensor:
        """True where a text has a label, of r's shape (B,); a missing one is marginal."""

    @abstractmethod
    def of_labels(self, labels: Tensor, values: Sequence[str]) -> Tensor:
        """r of texts, shape (B,), from the indices of their labels.

        Args:
            labels: indices among `values`, (B,); -1 where one is missing.
            values: the values that the run has learned.
        """

    def log_prob(self, z: Tensor, r: Tensor, x: Tensor | None, prompts: Tensor | None) -> Tensor:
        """log p(r | z, c) of known labels, shape (..., B), in nats.

        Args:
            z: values of the site `z`, shape (..., B, L, K, D).
            r: labels, shape (B,).
            x, prompts: as of `context_of`.
        """
        return self(z, self.context_of(x, prompts)).log_prob(r.expand(z.shape[:-Z_DIMS]))

    def context_of(self, x: Tensor | None, prompts: Tensor | None) -> Tensor | None:
        """The context c of texts, shape (B, C), from the mean embedding of their prompts; None if no prompt is read.

        Args:
            x: token ids, shape (B, T).
            prompts: number of leading tokens that are each text's prompt, (B,).

        Raises:
            InputError: if the head reads prompts and there are none.
        """
        if not self.prompt:
            return None
        if x is None or prompts is None or self.embedding is None:
            raise InputError(
                f"{type(self).__name__} reads the prompt, and none is given: call prepare(vocabulary) once, and give "
                "the model x and prompts=..., the number of prompt tokens of each text; or make the head with "
                "prompt=False"
            )
        within = torch.arange(x.shape[1], device=x.device) < prompts[:, None]  # (B, T)
        total = (self.embedding(x) * within[..., None]).sum(1)
        return total / prompts.clamp(min=1)[:, None]

    def outputs_of(self, z: Tensor, context: Tensor | None = None) -> Tensor:
        """f(z, c), shape (..., B, outputs); the arguments are those of `forward`."""
        h = z.mean((-3, -2)) if self.pooled else z.flatten(-Z_DIMS)
        if self.read is None:
            h = self.out(h)
            return h if context is None else h + context
        h = self.read(h)
        return self.out(torch.tanh(h if context is None else h + context))

    def extra_repr(self) -> str:
        return f"z_shape={self.z_shape}, hidden={self.hidden}, pooled={self.pooled}, prompt={self.prompt}"


def checked_reward(reward: AbstractReward | None, z_shape: tuple[int, int, int]) -> AbstractReward | None:
    """The reward head of a model; raises InputError unless it reads z of this shape."""
    if reward is None:
        return None
    require_instance("reward", reward, AbstractReward, "CategoricalReward(prior.z_shape)")
    if reward.z_shape != tuple(z_shape):
        raise InputError(
            f"the reward head reads z of shape {reward.z_shape}, the prior models {tuple(z_shape)}: build it with "
            "prior.z_shape"
        )
    return reward
