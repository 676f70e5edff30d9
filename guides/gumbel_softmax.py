"""A Gumbel-softmax guide: relaxed codes in training."""

from __future__ import annotations

from ltm_pyro.guides.gumbel_guide import AbstractGumbelGuide


class GumbelSoftmaxGuide(AbstractGumbelGuide):
    r"""Gumbel-softmax guide: relaxed samples, mixtures of codes, in training; codes in `eval()`.

    .. math:: \mathbb{E}_g\big[\log p(x \mid \tilde z)\big] - \mathrm{KL}(q(z) \,\|\, p(z)), \qquad
              \tilde z = \mathrm{softmax}((\log\pi + g) / \tau)

    (Jang et al., 2017, arXiv 1611.01144.) With this guide, the ELBO becomes the relaxed objective above: the likelihood
    of thoughts that the model never samples, less the KL of the categoricals (exact for
    `CodebookPrior(order="independent")`, else :math:`\tilde z^\top (\log q - \log p)`). Gradients of this objective are
    exact, but the objective is **not a bound** on log p(x), and may exceed it; `relaxed` of the distribution is then
    True. As tau falls the objective approaches the ELBO, and its gradient gets noisier.

    In `eval()` samples are codes, with the gradient of `StraightThroughGuide`, and bounds are valid: report numbers
    from `guide.eval()`.

    Args:
        z_shape: (L, K, C) with C codes.
        temperature: tau.

    Raises:
        InputError: if the temperature is not positive.
    """

    @property
    def hard(self) -> bool:
        """Whether samples are codes: in `eval()` only."""
        return not self.training
