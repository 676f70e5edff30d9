"""DataTree of an evaluation, in the groups of ArviZ's schema: draws of q(z), densities, costs and tokens of texts."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ltm_pyro.evaluation import Evaluation, pareto_k
from ltm_pyro.export.draw_recorder import DrawRecorder
from ltm_pyro.export.per_text import COUNTS
from ltm_pyro.files.new_file import new_file
from ltm_pyro.optional import import_extra

if TYPE_CHECKING:
    from xarray import DataTree

EXTRA, FEATURE = "export", "an export to xarray or as .nc"
Z = ("layer", "thought", "channel")
DRAWS = ("chain", "draw", "text")
ABOUT = {
    "log_prior": "log p(z)",
    "log_q": "log q(z)",
    "log_weight": "log p(x, z) - log q(z)",
    "log_likelihood": "log p(x | z)",
    "mean": "mean of q(z)",
    "sd": "standard deviation of q(z)",
    "kl": "KL(q || p)",
    "kl_per_layer": "KL(q || p) by layer",
    "effective_sample_size": "effective sample size of the importance weights, 1 to the number of draws",
    "pareto_k": "k-hat of the importance weights",
    "tokens": "scored tokens",
    "bytes": "UTF-8 bytes of the scored tokens",
    "predictive_tokens": "scored tokens of the second half, or of the answer",
    "predictive_bytes": "UTF-8 bytes of the second half, or of the answer",
}
NATS = "nats"

Variables = dict[str, tuple]  # by name: dims, values and attributes


def data_tree(
    recorded: DrawRecorder,
    evaluation: Evaluation,
    documents: Mapping[str, np.ndarray],
    about: Mapping[str, Any],
    prior: np.ndarray | None = None,
) -> DataTree:
    r"""DataTree of the recorded draws and their evaluation; log-densities and costs are in nats.

    Groups, each with the coordinates of its dimensions, `document` and `start`:

    - `posterior`: `z` (chain, draw, text, layer, thought, channel), the draws of q(z); of one-hot thoughts `code`, the
      index of the one, without `channel`;
    - `posterior_moments`: `mean` and `sd` of q(z) by text, if they have a closed form; of one-hot thoughts `mean` are
      the probabilities of the codes;
    - `prior`: `z` or `code` (chain, draw, layer, thought, channel), draws of p(z);
    - `sample_stats`: (chain, draw, text) `log_likelihood`, log p(x | z); if q has a density also `log_prior`, log p(z),
      `log_q`, log q(z), and `log_weight`, log p(x, z) - log q(z);
    - `log_likelihood`: `x`, log p(x | z), if q has a density, or there is nothing latent;
    - `loo`: arguments of ArviZ's `loo`: `log_weights`, log p(z) - log q(z) - log S, `pareto_k` and `reff`. With them
      `loo` is the sum of the importance-weighted bounds, :math:`\log \frac1S \sum_s w_s` of each text;
    - `costs`: by text, lower is better: every score of the evaluation, as minus a bound or a log-likelihood;
    - `texts`: by text `tokens`, `bytes`, `predictive_tokens` and `predictive_bytes` of the second half, `kl`,
      `kl_per_layer`, `effective_sample_size` and `pareto_k`;
    - `observed_data`: `x`, the token ids, `mask`, True where a token is scored, and `previous`, the token before.

    Args:
        recorded: by the evaluator.
        evaluation: of the same texts.
        documents: `document` and `start` of each text, as `text_columns` gives them.
        about: attributes of the whole.
        prior: draws of p(z), (P, L, K, D).

    Raises:
        InputError: if xarray is not installed.
    """
    xarray = import_extra("xarray", EXTRA, FEATURE)
    texts = {"text": np.arange(recorded.count), **{name: ("text", documents[name]) for name in ("document", "start")}}
    groups: dict[str, Variables] = {
        **_of_draws(recorded),
        "prior": {} if prior is None else _thoughts(prior[None], ("chain", "draw"), recorded.discrete, "p(z)"),
        "costs": {
            name: ("text", evaluation.per_text[name], {"units": NATS, "long_name": score.label})
            for name, score in evaluation.scores.items()
        },
        "texts": _numbers(evaluation),
        "observed_data": _tokens(recorded),
    }
    built = {name: _dataset(xarray, variables, texts) for name, variables in groups.items() if variables}
    return xarray.DataTree.from_dict({"/": xarray.Dataset(attrs={**about, "units": NATS}), **built})


def write_tree(tree: DataTree, path: Path) -> None:
    """Write a DataTree to a new netCDF file (HDF5), each group as a group.

    Raises:
        InputError: if h5netcdf is not installed, the path is taken, or it cannot be written.
    """
    for package in ("h5netcdf", "h5py"):
        import_extra(package, EXTRA, FEATURE)
    with new_file(path) as temporary:
        tree.to_netcdf(temporary, engine="h5netcdf")


def _of_draws(recorded: DrawRecorder) -> dict[str, Variables]:
    """Groups of the draws: as many as prior, guide and likelihood have."""
    groups: dict[str, Variables] = {}
    if recorded.z is not None:
        groups["posterior"] = _thoughts(recorded.z[None], DRAWS, recorded.discrete, "q(z)")
    if recorded.mean is not None and not recorded.is_estimated:
        moments = {"mean": recorded.mean, **({} if recorded.sd is None else {"sd": recorded.sd})}
        groups["posterior_moments"] = {
            name: (("text", *Z), values, {"long_name": ABOUT[name]}) for name, values in moments.items()
        }
    stats = {name: _nats(DRAWS, values[None], name) for name, values in recorded.densities.items()}
    if recorded.has_latents:
        groups["sample_stats"] = stats
    if "log_weight" in recorded.densities or not recorded.has_latents:
        groups |= _for_loo(recorded, stats)
    return groups


def _for_loo(recorded: DrawRecorder, stats: Variables) -> dict[str, Variables]:
    """Log-likelihoods and the weights under which ArviZ's `loo` is a sum of importance-weighted bounds."""
    if "log_likelihood" not in stats:
        return {}
    log_likelihood = recorded.densities["log_likelihood"]
    log_weight = recorded.densities.get("log_weight", log_likelihood)
    weights = log_weight - log_likelihood - math.log(len(log_likelihood))
    return {
        "log_likelihood": {"x": stats["log_likelihood"]},
        "loo": {
            "log_weights": (DRAWS, weights[None], {"units": NATS, "long_name": "log p(z) - log q(z) - log S"}),
            "pareto_k": ("text", pareto_k(log_weight), {"long_name": ABOUT["pareto_k"]}),
            "reff": ((), 1.0, {"long_name": "relative efficiency: the draws are independent"}),
        },
    }


def _thoughts(z: np.ndarray, dims: tuple[str, ...], discrete: bool, of: str) -> Variables:
    """The variable `z`, or `code` of one-hot thoughts, of any dims before those of z."""
    if not discrete:
        return {"z": ((*dims, *Z), z, {"long_name": f"draws of {of}"})}
    codes = z.argmax(-1).astype(np.int32) if z.ndim == len(dims) + len(Z) else z
    return {"code": ((*dims, *Z[:-1]), codes, {"long_name": f"codes drawn from {of}"})}


def _numbers(evaluation: Evaluation) -> Variables:
    """Numbers of each text that are no costs."""
    numbers = {name: values for name, values in evaluation.per_text.items() if name in ABOUT}
    if evaluation.lost:
        numbers = {name: values for name, values in numbers.items() if not name.endswith("bytes")}
    return {
        name: (
            ("text", "layer")[: values.ndim],
            values.astype(np.int64) if name in COUNTS else values,
            {"long_name": ABOUT[name], **({"units": NATS} if name.startswith("kl") else {})},
        )
        for name, values in numbers.items()
    }


def _tokens(recorded: DrawRecorder) -> Variables:
    x, mask, previous = recorded.tokens
    return {
        "x": (("text", "token"), x, {"long_name": "token ids, 0 where there is none"}),
        "mask": (("text", "token"), mask, {"long_name": "True where a token is scored"}),
        "previous": ("text", previous, {"long_name": "the token before the first"}),
    }


def _nats(dims: tuple[str, ...], values: np.ndarray, name: str) -> tuple:
    return dims, values, {"units": NATS, "long_name": ABOUT[name]}


def _dataset(xarray: Any, variables: Variables, texts: Mapping[str, Any]) -> Any:
    """Dataset with coordinates for all of its dimensions."""
    dataset = xarray.Dataset(variables)
    numbered = {name: np.arange(size) for name, size in dataset.sizes.items() if name != "text"}
    return dataset.assign_coords({**numbered, **(texts if "text" in dataset.sizes else {})})
