"""Linear-Gaussian models with a posterior of a chosen structure, and the exact ELBO of any Gaussian on them."""

import torch

from ltm_pyro.models.exact import LinearGaussian


def with_precision(precision, z_shape, batch=4):
    """A `LinearGaussian` whose posterior has this precision; precision - I must be positive definite."""
    toy = LinearGaussian(z_shape, observed=len(precision), batch=batch)
    root = torch.linalg.cholesky(precision - torch.eye(len(precision), dtype=torch.float64))
    toy.weight.data = toy.noise * root.T  # W'W / s² = precision - I
    return toy


def random_precision(size, least=1.5):
    """A random one with eigenvalues from `least` on."""
    root = torch.randn(size, size, dtype=torch.float64)
    return root @ root.T / 2 + least * torch.eye(size, dtype=torch.float64)


def mean_field_gap(toy):
    """Gap of the best diagonal Gaussian to log p(x): half the log of diag Λ's product over det Λ."""
    precision = toy.precision().detach()
    return 0.5 * (precision.diag().log().sum() - torch.logdet(precision))


def covariance(q):
    """Of any Gaussian, shape (B, n, n), from its density: minus the inverse of its second derivative."""
    center = q.mean.detach().clone().requires_grad_()
    flat = center.flatten(1)

    def density(z):
        return q.log_prob(z.view_as(center)).sum()

    size = flat.shape[1]
    hessian = torch.autograd.functional.hessian(density, flat.detach(), create_graph=torch.is_grad_enabled())
    rows = torch.arange(len(flat))
    return torch.linalg.inv(-hessian.view(len(flat), size, len(flat), size)[rows, :, rows])


def exact_elbo(toy, mean, covariance):
    """Of a Gaussian with mean (B, n) and covariance (B, n, n), shape (B,), differentiable."""
    fit = torch.distributions.Normal(mean @ toy.weight.T + toy.bias, toy.noise).log_prob(toy.x).sum(-1)
    spread = torch.einsum("oi,bij,oj->b", toy.weight, covariance, toy.weight) / (2 * toy.noise**2)
    trace = covariance.diagonal(dim1=-2, dim2=-1).sum(-1)
    kl = 0.5 * (trace + (mean**2).sum(-1) - mean.shape[-1] - torch.logdet(covariance))
    return fit - spread - kl
