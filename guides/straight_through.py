"""A straight-through Gumbel-softmax guide."""

from __future__ import annotations

from ltm_pyro.guides.gumbel_guide import AbstractGumbelGuide


class StraightThroughGuide(AbstractGumbelGuide):
    r"""Straight-through Gumbel-softmax guide: hard codes forward, the gradient of the relaxed ones backward.

    .. math:: z = \mathrm{onehot}\,\mathrm{argmax}(\log\pi + g), \qquad
              \frac{\partial z}{\partial \log\pi} := \frac{\partial}{\partial \log\pi}
              \mathrm{softmax}((\log\pi + g) / \tau)

    **Values are exact**: z is a sample of the categorical q, and log q(z) and the KL are the categorical's, so that
    every bound is valid. **The gradient is biased**, as the likelihood is not linear in z: a smaller tau gives less
    bias and more variance. The KL's own gradient is exact where it has a closed form (`ELBO` and
    `CodebookPrior(order="independent")`). `CategoricalGuide` with `ScoreFunction()` or `VIMCO()` is unbiased. (Jang et
    al., 2017, arXiv 1611.01144, section 2.2; Bengio et al., 2013, arXiv 1308.3432.)

    Args:
        z_shape: (L, K, C) with C codes.
        temperature: tau.

    Raises:
        InputError: if the temperature is not positive.
    """

    @property
    def hard(self) -> bool:
        """Whether samples are codes: always."""
        return True
