"""Codes drawn as they are, with a gradient as if they were soft."""

from __future__ import annotations

from ltm_pyro.guides.gumbel_guide import AbstractGumbelGuide


class StraightThroughGuide(AbstractGumbelGuide):
    r"""Straight-through Gumbel-softmax: hard codes forward, the soft ones' gradient backward.

    .. math:: z = \mathrm{onehot}\,\mathrm{argmax}(\log\pi + g), \qquad
              \frac{\partial z}{\partial \log\pi} := \frac{\partial}{\partial \log\pi}
              \mathrm{softmax}((\log\pi + g) / \tau)

    **Values are honest**: z is a sample of the categorical q, log q(z) and the KL are the categorical's, so that every
    bound is what it says. **The gradient is biased**, as the likelihood is not linear in z: the smaller tau, the
    less, and the noisier. The KL's own gradient is exact where it has a closed form (`ELBO` and
    `CodebookPrior(order="independent")`). `CategoricalGuide` with `ScoreFunction()` or `VIMCO()` is unbiased.
    (Jang et al., 2017, arXiv 1611.01144, section 2.2; Bengio et al., 2013, arXiv 1308.3432.)

    Args:
        z_shape: (L, K, C) with C codes.
        temperature: tau.

    Raises:
        InputError: if the temperature is not positive.
    """

    @property
    def hard(self) -> bool:
        """Always codes."""
        return True
