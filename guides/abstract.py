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
from ltm_pyro.guides.moments import moments
from ltm_pyro.instances import checked_shape
from ltm_pyro.recorded import Recorded


class AbstractGuide(Recorded, nn.Module, ABC):
    """A posterior q(z | x) with local parameters γ, one row of them per sequence.

    The local parameters are held apart from `parameters()`, which are the guide's global ones
    (an encoder, a flow): those belong to θ, to the slow optimizer and to the checkpoint.

    Attributes:
        discrete: whether it draws one-hot thoughts, for priors over them.
        has_density: whether log q(z) is known. Without it nothing is bounded: inference and learning go on, and tables
            leave out what would need it.
        step_size: the factor on the fast loop's learning rate that suits its local parameters, found by measurement.
        family: the name of the variational family, which several guides may share.
        is_sampler: whether the fast loop's steps are those of a sampler, which more or smaller steps do not bring to a
            best member of a family.
        rows: B of the batch that `start` has begun; None before.
        fast_particles: samples that the fast loop must take so that all local parameters move, each of them by the
            objective of its own sample; None leaves their number to the objective.

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
        """Begin a batch with fresh local parameters, and say in `rows` how many sequences it has.

        Args:
            x: token ids of the batch, shape (B, T).
            mask: True where a token is scored, shape (B, T).
            prior: p(z), event shape (L, K, D), for guides that start at the prior; None if there is none.
        """

    @abstractmethod
    def local_parameters(self) -> list[Tensor]:
        """Tensors that the fast loop moves, with a row per sequence, shape (B, ...). Empty if nothing is local."""

    @property
    def family(self) -> str:
        return type(self).__name__

    def prepare(self, vocabulary: int) -> None:
        """Told V once, before any batch, by whoever builds a model: for guides that read the text."""

    def after_fit(self, log_joint: Callable[[Tensor], Tensor]) -> None:
        """Told that the fast loop is done with this batch.

        Args:
            log_joint: log p(x, z) of the batch, differentiable by z, the weights held: (B, L, K, D) -> (B,), or
                (S, B, L, K, D) -> (S, B).
        """

    def fast_optimizer(self, given: Callable[..., Optimizer]) -> Callable[..., Optimizer]:
        """The constructor of the fast loop's optimizer: `given` by the user, unless the guide moves in a way of its
        own.

        Returns:
            A callable of parameters and `lr`.
        """
        return given

    @property
    def needs_unrolled(self) -> bool:
        """Whether the fast loop is to note its steps, for a guide whose start learns through them."""
        return False

    def set_unrolled(self, unrolled: Any) -> None:
        """Given the noted steps at the end of a fast loop, as a `UnrolledLoop`, if it `needs_unrolled`."""

    def backward_guide(self, loss: Callable[[], Tensor]) -> None:
        """Add to the gradients of the global parameters what the slow step's own pass does not give.

        Called in every slow step after its `backward`, the model's weights held. The local rows hold their gradients
        of the slow step's loss if the guide `needs_unrolled`.

        Args:
            loss: the slow step's loss, with fresh noise, at q as it stands.
        """

    def status(self) -> str:
        """One line about the guide's state that a user should know during training; empty if there is none."""
        return ""

    @property
    def has_natural_step(self) -> bool:
        """Whether the family has a natural gradient in closed form, and says how long it is."""
        own, none = type(self), AbstractGuide
        return own.natural_step is not none.natural_step and own.natural_norm is not none.natural_norm

    def natural_step(self, rate: float) -> None:
        """Move the local parameters along the natural gradient, from the gradients that they hold.

        Raises:
            InputError: if the family has none in closed form.
        """
        raise InputError(f"{type(self).__name__} has no natural gradient in closed form: choose another fast.optimizer")

    def natural_norm(self) -> Tensor:
        r"""Squared length of the natural gradient by the family's own measure: :math:`g^\top F^{-1} g`, shape (B,), in
        nats.

        From the gradients g that the local parameters hold. A step of size ρ moves q by :math:`\rho^2/2` of it, the KL
        from before to after, to second order.

        Raises:
            InputError: if the family has none in closed form, or does not say how long it is.
        """
        raise InputError(
            f"{type(self).__name__} has no natural gradient in closed form, or none whose length it tells "
            "(natural_norm): choose another fast.optimizer, or give it no max_kl"
        )

    def check_batch(self, x: Tensor | None) -> None:
        """Raises InputError unless `start` has begun a batch, of as many sequences as there are in x."""
        if self.rows is None or (x is not None and len(x) != self.rows):
            raise InputError("the guide holds no posteriors of this batch: call guide.start(x), or fit it, first")

    def at_prior(self, x: Tensor, prior: Distribution | None) -> tuple[Tensor, Tensor]:
        """Mean and standard deviation of p(z) for every sequence, (B, L, K, D) each: where local parameters may begin.

        They are of the prior's dtype, which the model shares, and on the device of x, whose dtype is that of token
        ids. Where the prior states no finite moment, or is None, they are 0 and 1.

        Args:
            x, prior: as `start` is given them.
        """
        shape = (len(x), *self.z_shape)
        mean, sigma = (moment.detach().expand(shape).clone() for moment in moments(prior, x.device))
        return mean, sigma

    def posterior(self) -> Distribution:
        """q(z) of the batch that `start` has begun, batch (B,), event (L, K, D)."""
        raise NotImplementedError(f"{type(self).__name__} has neither a posterior nor a forward of its own")

    def forward(
        self,
        x: Tensor | None = None,
        mask: Tensor | None = None,
        batch_size: int | None = None,
        previous: Tensor | None = None,
    ) -> Tensor | None:
        """Sample the site `z` from the posterior, with the model's own arguments.

        Raises:
            InputError: if `start` has not seen this batch.
        """
        self.check_batch(x)
        q = self.posterior()
        with pyro.plate("sequences", self.rows, dim=-1):
            return pyro.sample("z", q)
