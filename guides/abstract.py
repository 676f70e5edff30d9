"""The base class of guides: variational families q(z | x) with local parameters."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, ClassVar

import pyro
from torch import Tensor, nn
from torch.distributions import Distribution
from torch.optim import Optimizer

from ltm_pyro.errors import InputError
from ltm_pyro.guides.abstract_encoder import SupportsDecode
from ltm_pyro.guides.moments import moments
from ltm_pyro.instances import checked_shape
from ltm_pyro.recorded import Recorded


class AbstractGuide(Recorded, nn.Module, ABC):
    """Variational family q(z | x) with local parameters γ, one row of them per sequence.

    Local parameters are not among `parameters()`, which are the guide's global ones (an encoder, a flow): those belong
    to θ, to the slow optimizer and to the checkpoint.

    Attributes:
        discrete: whether the thoughts are one-hot, for priors over codes.
        has_density: whether log q(z) is known. Without it nothing is bounded: inference and learning go on, and tables
            leave out the numbers that need it.
        step_size: the factor on the fast loop's learning rate that suits the local parameters, found by measurement.
        family: the name of the variational family, which several guides may share.
        is_sampler: whether the fast loop's steps are those of a sampler, which do not converge to a best member of a
            family.
        rows: B of the batch that `start` has begun; None before.
        fast_particles: the number of samples that the fast loop must take for all local parameters to move, each by the
            objective of its own sample; None leaves the number to the objective.

    Args:
        z_shape: (L, K, D), the event shape of the site `z`.
    """

    discrete: ClassVar[bool] = False
    step_size: ClassVar[float] = 1.0
    is_sampler: bool = False
    has_density: bool = True
    fast_particles: int | None = None
    rows: int | None = None

    def __init__(self, z_shape: tuple[int, int, int]) -> None:
        super().__init__()
        self.z_shape: tuple[int, int, int] = checked_shape(z_shape)

    @abstractmethod
    def start(self, x: Tensor, mask: Tensor | None = None, prior: Distribution | None = None) -> None:
        """Begin a batch with fresh local parameters, and set `rows` to its number of sequences.

        Args:
            x: token ids of the batch, shape (B, T).
            mask: True where a token is scored, shape (B, T).
            prior: p(z), event shape (L, K, D), for guides that start at the prior; None if the model has no prior.
        """

    @abstractmethod
    def local_parameters(self) -> list[Tensor]:
        """Tensors that the fast loop fits, with a row per sequence, shape (B, ...) each; may be empty."""

    @property
    def family(self) -> str:
        return type(self).__name__

    def attach_tokenizer(self, tokenizer: SupportsDecode) -> None:
        """Hook called once with the run's tokenizer, before `prepare`: for guides whose encoder reads text.

        Args:
            tokenizer: from token ids to text; it must enter neither `parameters()` nor the state dict.
        """

    def prepare(self, vocabulary: int) -> None:
        """Hook called once with the vocabulary size V, before any batch: for guides with a text encoder."""

    def after_fit(self, log_joint: Callable[[Tensor], Tensor]) -> None:
        """Hook called when the fast loop is done with a batch.

        Args:
            log_joint: log p(x, z) of the batch, differentiable in z, with fixed weights: (B, L, K, D) -> (B,), or
                (S, B, L, K, D) -> (S, B).
        """

    def fast_optimizer(self, given: Callable[..., Optimizer]) -> Callable[..., Optimizer]:
        """The constructor of the fast loop's optimizer: the user's, `given`, unless the guide has its own.

        Returns:
            A callable of parameters and `lr`.
        """
        return given

    @property
    def needs_unrolled(self) -> bool:
        """Whether the fast loop must record its steps, for a guide whose initialisation learns through them."""
        return False

    def set_unrolled(self, unrolled: Any) -> None:
        """Hook that receives the recorded steps of a fast loop, an `UnrolledLoop`, if the guide `needs_unrolled`."""

    def backward_guide(self, loss: Callable[[], Tensor]) -> None:
        """Hook that adds gradients of the global parameters beyond those of the slow step's own pass.

        Called in every slow step after its `backward`, with the model's weights fixed. The local parameters hold their
        gradients of the slow step's loss if the guide `needs_unrolled`.

        Args:
            loss: the slow step's loss at the current q, with fresh noise at every call.
        """

    def status(self) -> str:
        """One line about the guide's state for the user during training; empty if there is nothing to report."""
        return ""

    @property
    def has_natural_step(self) -> bool:
        """Whether the guide implements both `natural_step` and `natural_norm`."""
        cls, base = type(self), AbstractGuide
        return cls.natural_step is not base.natural_step and cls.natural_norm is not base.natural_norm

    def natural_step(self, rate: float) -> None:
        """Move the local parameters along the natural gradient, computed from their gradients.

        Raises:
            InputError: if the family has no natural gradient in closed form.
        """
        raise InputError(f"{type(self).__name__} has no natural gradient in closed form: choose another fast.optimizer")

    def natural_norm(self) -> Tensor:
        r"""Squared norm of the natural gradient in the Fisher metric, :math:`g^\top F^{-1} g`, shape (B,), in nats.

        g are the gradients of the local parameters. To second order, a step of size ρ changes q by a KL of
        :math:`\rho^2/2` times this norm.

        Raises:
            InputError: if the family has no natural gradient in closed form, or the guide no `natural_norm`.
        """
        raise InputError(
            f"{type(self).__name__} has no natural gradient in closed form, or does not implement natural_norm: choose "
            "another fast.optimizer, or give it no max_kl"
        )

    def check_batch(self, x: Tensor | None) -> None:
        """Raises InputError unless `start` has begun a batch with as many sequences as x."""
        if self.rows is None or (x is not None and len(x) != self.rows):
            raise InputError("the guide holds no posteriors of this batch: call guide.start(x), or fit it, first")

    def at_prior(self, x: Tensor, prior: Distribution | None) -> tuple[Tensor, Tensor]:
        """Mean and standard deviation of p(z) for every sequence, (B, L, K, D) each, to initialise local parameters.

        They have the prior's dtype, and are on the device of x. Where the prior is None, or has no finite moment, they
        are 0 and 1.

        Args:
            x, prior: the arguments of `start`.
        """
        shape = (len(x), *self.z_shape)
        mean, sigma = (moment.detach().expand(shape).clone() for moment in moments(prior, x.device))
        return mean, sigma

    def posterior(self) -> Distribution:
        """Posterior q(z) of the current batch, batch (B,), event (L, K, D)."""
        raise NotImplementedError(f"{type(self).__name__} has neither a posterior nor a forward of its own")

    def forward(
        self,
        x: Tensor | None = None,
        mask: Tensor | None = None,
        batch_size: int | None = None,
        previous: Tensor | None = None,
        r: Tensor | None = None,
        prompts: Tensor | None = None,
    ) -> Tensor | None:
        """Sample the site `z` from the posterior; the arguments are the model's.

        Raises:
            InputError: if `start` has not seen this batch.
        """
        self.check_batch(x)
        q = self.posterior()
        with pyro.plate("sequences", self.rows, dim=-1):
            return pyro.sample("z", q)
