"""One dual-rate training step on the device and on the CPU, with the same noise.

Without a GPU a step on the CPU would be compared with itself: float64 stands in for the other device, and the
differences are those that rounding to float32 makes.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from benchmarks.gpu.finding import Finding, tolerance
from benchmarks.gpu.noise import NoiseOfTheCPU
from benchmarks.gpu.setting import Setting

# Rounding to float32 makes differences of about 1e-6 in each. Adam divides each gradient by its size: where one is near
# zero, rounding may turn its sign, and that number of the posteriors goes the other way.
ELBO, POSTERIOR, GRADIENT = 2e-5, 1e-2, 1e-3


class StepResult(NamedTuple):
    """Numbers that a training step leaves, in float64 on the CPU.

    Attributes:
        elbo: of each text before the slow step, in nats a token, shape (B,).
        mu: the posteriors' means.
        gradient: of all weights, one behind the other.
        draws: how often noise was drawn.
    """

    elbo: Tensor
    mu: Tensor
    gradient: Tensor
    draws: int


def step_of(setting: Setting, dtype: torch.dtype = torch.float32) -> StepResult:
    """A first training step."""
    training = setting.training(setting.decoder().to(dtype))
    texts = setting.texts()
    torch.manual_seed(setting.seed)
    with NoiseOfTheCPU() as noise:
        terms = training.step(texts)
    assert training.slow is not None
    gradients = [weight.grad for weight in training.slow.parameters if weight.grad is not None]
    return StepResult(
        _plain(terms.elbo) / setting.sizes.length,
        _plain(training.guide.mu),
        torch.cat([_plain(gradient).flatten() for gradient in gradients]),
        noise.draws,
    )


def measure(setting: Setting) -> Finding:
    """The largest difference of the ELBO, and the relative ones of posteriors and gradients."""
    on_cpu = step_of(setting._replace(device="cpu"))
    exact = step_of(setting._replace(device="cpu"), torch.float64)
    finding = compared("float32 on the CPU against float64", on_cpu, exact)
    if not setting.on_cuda:
        finding.skipped.append(f"a step on {setting.device} against the CPU's, which would be itself")
        return finding
    device = step_of(setting)
    finding.measures[:0] = compared(f"{setting.device} against the CPU, float32", device, on_cpu).measures
    return finding


def compared(name: str, one: StepResult, other: StepResult) -> Finding:
    """Two steps; that both drew noise equally often is a condition of all else."""
    assert one.draws == other.draws > 0, f"{name}: noise was drawn {one.draws} and {other.draws} times"
    assert one.gradient.shape == other.gradient.shape, f"{name}: other weights have gradients"
    elbo = (one.elbo - other.elbo).abs().max().item()
    return Finding(
        [
            tolerance(f"{name}: largest difference of a text's ELBO", elbo, ELBO, "nats/token"),
            tolerance(f"{name}: posteriors' means, relative", _relative(one.mu, other.mu), POSTERIOR),
            tolerance(f"{name}: weights' gradient, relative", _relative(one.gradient, other.gradient), GRADIENT),
        ]
    )


def _relative(one: Tensor, other: Tensor) -> float:
    """The norm of the difference over that of the second."""
    return ((one - other).norm() / other.norm()).item()


def _plain(tensor: Tensor) -> Tensor:
    return tensor.detach().to("cpu", torch.float64)
