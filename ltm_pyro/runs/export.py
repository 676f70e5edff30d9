"""Export of a run's posteriors and of the numbers of single texts, to a file that other tools read."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

from ltm_pyro.files.new_file import refuse_taken
from ltm_pyro.ranges import in_range, whole
from ltm_pyro.runs.arguments import (
    Argument,
    BatchSize,
    Checkpoint,
    CorpusAt,
    Draws,
    FastSteps,
    Field,
    Limit,
    RunFolder,
    Seed,
    TrustCode,
)
from ltm_pyro.runs.console import say
from ltm_pyro.runs.loading import load, open_run
from ltm_pyro.runs.scored_text import scored_text
from ltm_pyro.runs.scoring import score_run
from ltm_pyro.training.checkpoints import step_of
from ltm_pyro.version import __version__

if TYPE_CHECKING:
    import numpy as np
    import torch
    from xarray import DataTree

    from ltm_pyro.data import Sequences
    from ltm_pyro.evaluation import Evaluation
    from ltm_pyro.export import DrawRecorder
    from ltm_pyro.training.build import RunComponents
    from ltm_pyro.training.run import Run

TREE, ROWS = ".nc", ".parquet"
LONGEST = 1000  # characters of a description; HDF5 takes no long attributes
DRAWS = 100  # k-hat needs some 25, and is uncertain with few
PriorDraws = Annotated[int, Argument("draws of p(z), the same for every text, in a .nc"), whole(0)]


class Exported(NamedTuple):
    """A file that was written, and its size.

    Attributes:
        path: of the file.
        texts: N, the number of its texts.
        bytes: its size.
    """

    path: Path
    texts: int
    bytes: int


class Recorded(NamedTuple):
    """An evaluation with the draws of z from which its scores were taken.

    Attributes:
        draws: of q(z), with their densities.
        evaluation: of the same texts.
        columns: numbers of each text, as `ltm_pyro.export.text_columns` returns them.
        about: attributes of the whole.
        prior: draws of p(z), (P, L, K, D); None if none were asked for.
    """

    draws: DrawRecorder
    evaluation: Evaluation
    columns: dict[str, np.ndarray]
    about: dict[str, Any]
    prior: np.ndarray | None

    def tree(self) -> DataTree:
        """The DataTree of `ltm_pyro.export.data_tree`."""
        from ltm_pyro.export import data_tree

        return data_tree(self.draws, self.evaluation, self.columns, self.about, self.prior)

    def rows(self) -> dict[str, np.ndarray]:
        """Columns of each text, with `z_mean` and `z_sd`, (N, L·K·D), of a model with latents."""
        moments = {"z_mean": self.draws.mean, "z_sd": self.draws.sd}
        flat = {name: values.reshape(len(values), -1) for name, values in moments.items() if values is not None}
        return {**self.columns, **flat}

    def write(self, path: Path) -> Exported:
        """Write a new file in the format of its name.

        Raises:
            InputError: if the path is taken, or cannot be written.
        """
        from ltm_pyro.export import write_table, write_tree

        if path.suffix == TREE:
            write_tree(self.tree(), path)
        else:
            write_table(self.rows(), path, self.about)
        return Exported(path, self.draws.count, path.stat().st_size)


@in_range
def export(
    run: RunFolder,
    out: str,
    corpus: str | None = None,
    *,
    corpus_at: CorpusAt = None,
    checkpoint: Checkpoint = "best",
    field: Field = "",
    draws: Draws = DRAWS,
    prior_draws: PriorDraws = 0,
    fast_steps: FastSteps = None,
    limit: Limit = None,
    batch_size: BatchSize = 32,
    seed: Seed = 0,
    trust_code: TrustCode = False,
) -> Exported:
    """The posteriors q(z) of a run's held-out or other text, and the numbers of each text, in a file for other tools.

    A .nc file (netCDF, for xarray and ArviZ) holds draws of z with their densities; a .parquet file holds one row a
    text, with the means and standard deviations of z.

    Args:
        out: a new file, .nc or .parquet, named last.
        corpus: text to export, as for `ltm evaluate`, named before OUT; the run's held-out text if left out.
        run, corpus_at, checkpoint, field, draws, prior_draws, fast_steps, limit, batch_size, seed, trust_code: as
            `ltm_pyro.runs.arguments` describes them.

    Raises:
        InputError: if the file exists or cannot be written, for a text that gives no sequence, draws that exceed half
            of the machine's memory, or if a package of the extra `export` is missing.
    """
    path = Path(out)
    refuse_unwritable(path)
    opened = open_run(run, trust_code)
    text = scored_text(opened, corpus, corpus_at, field)
    components, device = load(opened, checkpoint)
    step = step_of(opened.find(checkpoint))
    sizes = Sizes(draws, prior_draws, limit, batch_size, seed, fast_steps)
    return record(opened, components, device, text.sequences, sizes, step, text.about, path.suffix == TREE).write(path)


class Sizes(NamedTuple):
    """Sizes of an export: draws of q(z) and of p(z), the most texts, sequences in a batch, seed, and fast steps."""

    draws: int = DRAWS
    prior_draws: int = 0
    limit: int | None = None
    batch_size: int = 32
    seed: int = 0
    fast_steps: int | None = None


def refuse_unwritable(path: Path) -> None:
    """Raise InputError unless an export can be written at a path: its name, its folder and the packages it needs."""
    from ltm_pyro.optional import require_extra

    refuse_taken(path, (TREE, ROWS), "OUT")
    for package in ("xarray", "h5netcdf", "h5py") if path.suffix == TREE else ():
        require_extra(package, "export", "an export as .nc")


def record(
    run: Run,
    components: RunComponents,
    device: torch.device,
    sequences: Sequences,
    sizes: Sizes,
    step: int,
    about: str,
    keeps_draws: bool = True,
) -> Recorded:
    """Fit q to sequences, score them, and record the draws.

    Args:
        run, components, device: of the run, loaded.
        sequences: to export.
        sizes: of the export.
        step: of the checkpoint.
        about: description of the text.
        keeps_draws: whether draws and densities are kept, or only moments of z.

    Raises:
        InputError: if the draws would exceed half of the machine's memory, or a score is not finite.
    """
    from ltm_pyro.export import DrawRecorder, text_columns

    components = components.with_fast_steps(sizes.fast_steps)
    texts = min(len(sequences), sizes.limit or len(sequences))
    recorder = DrawRecorder(components.model, components.guide, sizes.draws, texts, keeps_draws)
    size = f" to keep: {recorder.size / 1e6:,.1f} MB" if keeps_draws else ""
    say(f"{texts:,} texts, {sizes.draws:,} draws of each{size}")
    evaluation = score_run(
        run,
        components,
        device,
        sequences,
        draws=sizes.draws,
        limit=sizes.limit,
        batch_size=sizes.batch_size,
        seed=sizes.seed,
        on_draws=recorder,
    )
    described = {**_about(run, components, sizes, step, about), **_about_fit(recorder, evaluation)}
    prior = _prior(components, sizes) if keeps_draws else None
    return Recorded(recorder, evaluation, text_columns(sequences, evaluation), described, prior)


def _prior(components: RunComponents, sizes: Sizes) -> np.ndarray | None:
    """Draws of p(z), (P, L, K, D)."""
    import torch

    from ltm_pyro.evaluation.evaluation_mode import evaluation_mode

    prior = components.model.prior
    if prior is None or not sizes.prior_draws:
        return None
    with torch.no_grad(), evaluation_mode(components.model, components.guide, sizes.seed):
        return prior().sample(torch.Size([sizes.prior_draws])).float().cpu().numpy()


def _about(run: Run, components: RunComponents, sizes: Sizes, step: int, about: str) -> dict[str, Any]:
    import pyro
    import torch

    from ltm_pyro.export.per_text import printable

    prior = components.model.prior
    latent = {} if prior is None else {"prior": type(prior).__name__, "prior_density": prior.density.value}
    return {
        "inference_library": "ltm_pyro",
        "inference_library_version": __version__,
        "torch_version": str(torch.__version__),
        "pyro_version": pyro.__version__,
        "run": printable(run.folder.resolve().name),  # no path of this machine: files are shared
        "checkpoint": step,
        "scored_text": printable(about)[:LONGEST],
        "model": run.config.model,
        **latent,
        "guide": type(components.guide).__name__,
        "z_shape": list(components.guide.z_shape),
        "draws": sizes.draws,
        "seed": sizes.seed,
        "batch_size": sizes.batch_size,
    }


def _about_fit(recorder: DrawRecorder, evaluation: Evaluation) -> dict[str, Any]:
    fit = evaluation.fit
    fitted = {} if fit is None else {"fast_steps": fit.steps, "fast_optimizer": fit.optimizer, "fit": fit.note}
    moments = {"moments": "of the draws" if recorder.is_estimated else "closed form"} if recorder.has_latents else {}
    lost = {"bytes_are_missing": evaluation.lost} if evaluation.lost else {}
    return {**fitted, **moments, **lost}
