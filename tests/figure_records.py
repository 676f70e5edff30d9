"""Small records of every kind that figures are drawn from."""

import math


def bound(name, particles, value, claim="lower bound"):
    return {
        "part": "tightness",
        "bound": name,
        "particles": particles,
        "value": value,
        "error_over_draws": 0.1,
        "above_elbo": value + 1.9,
        "above_elbo_error": 0.02,
        "claim": claim,
        "unit": "nats/token",
        "log_evidence": -1.0,
    }


def gradient(name, particles, snr, target="its bound", heavy=False):
    return {
        "part": "gradient",
        "bound": name.split("-")[0],
        "estimator": name,
        "parameters": "γ",
        "particles": particles,
        "snr": snr,
        "snr_error": 0.1 * snr,
        "claim": "lower bound",
        "target": target,
        "bias_along": 0.02,
        "bias_along_error": 0.01,
        "variance": 3.0,
        "heavy_tails": heavy,
    }


def point(name, passes, value):
    return {
        "part": "inference",
        "bound": name,
        "estimator": name,
        "claim": "lower bound",
        "passes": passes,
        "seconds": passes / 10,
        "elbo": value,
        "importance_weighted": value + 1,
        "unit": "nats/token",
    }


TIGHTNESS = [bound(name, s, -2 + 0.1 * s + bonus) for name, bonus in (("elbo", 0), ("iwae", 0.1)) for s in (1, 2, 4)]
GRADIENTS = [gradient(name, s, 0.1 * s) for name in ("iwae", "iwae-dreg") for s in (1, 2, 4)]
CURVE = [point(name, passes, -5 + passes) for name in ("elbo", "iwae") for passes in (0, 1, 2)]
WEIGHTS = [{"effective_sample_size": 3.0, "pareto_k": k, "particles": 8, "draws": 64} for k in (0.2, 0.9, math.nan)]


def row(prior, at=4.0, **more):
    numbers = {}
    for name in ("elbo", "importance_weighted", "predictive", "prior"):
        key = f"{name}_nats_per_token"
        numbers |= {key: at, f"{name}_standard_error": 0.2, f"{key}_seed_error": 0.1}
    layers = {"kl_layer_1": 0.3, "kl_layer_2": 0.1, "kl_layer_1_seed_error": 0.01}
    return {"variant": prior, **numbers, **layers, "mmd2": 0.02, "mmd2_null_95": 0.01, **more}


ROWS = [row("GaussianPrior"), row("MixturePrior", 3.5, elbo_minus_first=-0.5, elbo_minus_first_error=0.1)]
RUNS = [
    {"variant": r["variant"], "elbo_nats_per_token": r["elbo_nats_per_token"] + gap} for r in ROWS for gap in (-1, 1)
]
POINTS = [
    {"variant": prior, "seed": seed, "step": step, "tokens": 100 * step, "seconds": step / 10, "elbo": -5 + step}
    for prior in ("GaussianPrior", "MixturePrior")
    for seed in (0, 1)
    for step in (1, 2, 3)
]
