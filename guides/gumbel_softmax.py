"""Codes that are relaxed while the model learns."""

from __future__ import annotations

from ltm_pyro.guides.gumbel_guide import AbstractGumbelGuide


class GumbelSoftmaxGuide(AbstractGumbelGuide):
    r"""Gumbel-softmax: mixtures of codes while training, codes in `eval()`.

    .. math:: \mathbb{E}_g\big[\log p(x \mid \tilde z)\big] - \mathrm{KL}(q(z) \,\|\, p(z)), \qquad
              \tilde z = \mathrm{softmax}((\log\pi + g) / \tau)

    (Jang et al., 2017, arXiv 1611.01144.) That is what the ELBO becomes with it: the likelihood of thoughts that the
    model never draws, less the KL of the categoricals (exact for `CodebookPrior(order="independent")`, else
    :math:`\tilde z^\top (\log q - \log p)`). Its gradient is the exact gradient of that, but that is **not a bound** on
    log p(x), and may be above it; the distribution says so by `relaxed`. As tau falls it comes closer to the ELBO, and
    its gradient gets noisier.

    In `eval()` it draws codes, with the gradient of `StraightThroughGuide`: then values are honest. Numbers that
    are reported belong to `guide.eval()`.

    Args:
        z_shape: (L, K, C) with C codes.
        temperature: tau.

    Raises:
        InputError: if the temperature is not positive.
    """

    @property
    def hard(self) -> bool:
        """Codes in `eval()` only."""
        return not self.training
