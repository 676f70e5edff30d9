"""Control of a run by a field of its corpus: the fit of p(z | value), its gain on held-out texts, and its files."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NamedTuple

import numpy as np
import torch

from ltm_pyro.control import (
    ControlGain,
    ControlPrior,
    FittedControl,
    FlowFit,
    FlowSizes,
    PosteriorDraws,
    Texts,
    draw_posteriors,
    fit_control,
    measure_gain,
    new_prior,
    save_control,
)
from ltm_pyro.control.conditions import ThoughtCondition
from ltm_pyro.control.kept_draws import keep_draws, kept_draws, key_of
from ltm_pyro.control.posterior_draws import refuse_uncontrollable
from ltm_pyro.control.prior import Condition
from ltm_pyro.control.saved import ControlRecord, Weights, control_folder, draws_folder, weights_of
from ltm_pyro.errors import InputError
from ltm_pyro.models.priors import Density
from ltm_pyro.optional import import_zuko
from ltm_pyro.ranges import POSITIVE, in_range, whole
from ltm_pyro.runs.arguments import (
    Argument,
    BatchSize,
    Call,
    Checkpoint,
    CorpusAt,
    Draws,
    FastSteps,
    RunFolder,
    Seed,
    TrustCode,
)
from ltm_pyro.runs.attributes import LabelledCorpus, LabelledText, labelled_corpus, most_common
from ltm_pyro.runs.console import say
from ltm_pyro.runs.loading import load, open_run
from ltm_pyro.runs.progress import Progress
from ltm_pyro.runs.results_folder import versions
from ltm_pyro.runs.scored_text import held_out_text
from ltm_pyro.runs.value_thoughts import value_thoughts
from ltm_pyro.training.run import Run

if TYPE_CHECKING:
    from torch import Tensor

    from ltm_pyro.training.build import RunComponents

CALIBRATION = 0.2  # share of the training texts that stop the fit
FEW_VALUES, TEXTS_PER_VALUE = 64, 4  # the most values, and the least mean number of texts, with a context for each
LEAST_TEXTS = 5
PARTS = 4  # of the flow's fit, at most


class Controlled(NamedTuple):
    """A fitted control with its gain on held-out texts.

    Attributes:
        run: the run.
        prior: p(z | value).
        gain: on held-out texts.
        record: the content of its control.json.
        unit: the name of a sequence, `text` or `window`.
        about: description of the texts, a sentence each.
    """

    run: Run
    prior: ControlPrior
    gain: ControlGain
    record: ControlRecord
    unit: str
    about: list[str]

    @property
    def folder(self) -> Path:
        return control_folder(self.run.folder, self.record["field"])

    def table(self) -> str:
        """The results as Markdown that can be read in a terminal."""
        return "\n".join([self.gain.table(self.record["field"], self.unit), *self.about])

    def save(self) -> Path:
        """Write the control into the run's folder, in the place of an earlier one; returns the path of its table.

        Raises:
            InputError: if it cannot be written.
        """
        return save_control(self.folder, self.prior, self.record, self.table())


@in_range
def control(
    run: RunFolder,
    *,
    attribute: Annotated[str, Argument(metavar="FIELD")],
    condition: Condition | None = None,
    corpus_at: CorpusAt = None,
    checkpoint: Checkpoint = "best",
    draws: Draws = 16,
    fast_steps: FastSteps = None,
    limit: Annotated[int, whole(LEAST_TEXTS)] = 1024,
    held_out_limit: Annotated[int, whole(1)] = 256,
    batch_size: BatchSize = 32,
    epochs: Annotated[int, whole(1)] = 200,
    learning_rate: Annotated[float, POSITIVE] = 5e-4,
    context: Annotated[int, whole(1)] = 16,
    transforms: Annotated[int, whole(1)] = 4,
    hidden: Annotated[int, whole(1)] = 64,
    bins: Annotated[int, whole(2)] = 8,
    seed: Seed = 0,
    trust_code: TrustCode = False,
) -> Controlled:
    """Control of a run's thoughts by a field of its corpus: a flow p(z | value), and its gain on held-out texts.

    q is fitted to texts of the corpus, and the flow to draws of q. `ltm generate RUN --given VALUE` writes with z from
    the flow.

    Args:
        attribute: the field beside the text, in .jsonl, .json, .csv or .parquet; within an object `meta.label`.
        condition: `values` learns a context for each value; `thoughts` takes the posterior mean of the value's own
            text, so that any text can be given; if left out, values where they are few.
        limit: the most training sequences to which q is fitted, chosen at random by the seed.
        held_out_limit: the most held-out sequences that are scored.
        epochs: the most passes of the flow over the draws, in each part of its fit.
        learning_rate: of the flow's networks.
        context: width of the context of a value.
        transforms: coupling layers of the flow.
        hidden: width of the flow's networks.
        bins: pieces of each spline.
        run, corpus_at, checkpoint, draws, fast_steps, batch_size, seed, trust_code: as `ltm_pyro.runs.arguments`
            describes them.

    Raises:
        InputError: if the corpus has no such field, or a single value of it, or the run's thoughts cannot be
            controlled.
    """
    call = Call(control, locals())
    import_zuko()
    opened = open_run(run, trust_code)
    components, device = load(opened, checkpoint)
    refuse_uncontrollable(components.model, components.guide, opened.folder)
    corpus = labelled_corpus(opened, held_out_text(opened, corpus_at), attribute, limit, held_out_limit, seed)
    _refuse_too_little(corpus.training, attribute)
    kind = condition or _condition(corpus.training.values, attribute)
    corpus, about = _known(corpus, attribute, kind)
    training, held_out, _ = corpus
    weights = weights_of(opened.find(checkpoint))
    fits = _PosteriorFit(opened, components.with_fast_steps(fast_steps), device, weights, batch_size, draws, seed)
    posteriors = fits.draw(training, "training"), fits.draw(held_out, "held-out")
    names = sorted(set(training.values)) if kind == "values" else []
    if names:
        conditions = _numbers(training.values, names), _numbers(held_out.values, names)
    else:  # by the fit that every later call has too
        conditions = _thoughts(opened, components, device, training.values, held_out.values, batch_size)
    sizes = FlowSizes(context, transforms, hidden, bins)
    prior = _initial(kind, posteriors[0].z.shape[2:], conditions[0], len(names), sizes, seed).to(device)
    split = _split(training, posteriors[0], conditions[0], seed)
    fitted = _fitted(prior, *split, FlowFit(epochs=epochs, learning_rate=learning_rate), seed)
    known = fitted.given, conditions[1]
    gain = measure_gain(posteriors[1], held_out.texts, known, fitted.without, held_out.values, seed)
    record: ControlRecord = {
        "field": attribute,
        "condition": kind,
        "values": names,
        "sizes": {"context": context, "transforms": transforms, "hidden": hidden, "bins": bins},
        "weights": weights,
        "settings": call.without("run", "trust_code"),
        "results": {"gain": gain.to_dict(), "fit": {name: part._asdict() for name, part in fitted.parts.items()}},
        "versions": versions(),
    }
    unit = "window" if opened.config.data.mode == "windows" else "text"
    return Controlled(opened, fitted.given, gain, record, unit, [*about, *_remark_on_prior(components)])


def _numbers(values: list[str], names: list[str]) -> Tensor:
    """The numbers of values among sorted names, shape (M,)."""
    number = {name: i for i, name in enumerate(names)}
    return torch.tensor([number[value] for value in values])


def _thoughts(
    run: Run, components: RunComponents, device: torch.device, training: list[str], held_out: list[str], batch_size: int
) -> tuple[Tensor, Tensor]:
    """Posterior means of the values of both sides, each value fitted once, (M, L, K, D) each."""
    names = sorted({*training, *held_out})
    means = value_thoughts(run, components, device, names, batch_size)
    return means[_numbers(training, names)], means[_numbers(held_out, names)]


def _remark_on_prior(components: RunComponents) -> list[str]:
    prior = components.model.prior
    if prior is None or prior.density is Density.EXACT:
        return []
    return ["The run's own prior is a bound or an estimate, so that differences to p(z) compare bounds."]


class _PosteriorFit:
    """Fits of q with a progress line; draws are kept in the run's folder for a later call.

    Args:
        run, components, device: the run, its trained objects and their device.
        weights: identity of the weights.
        batch_size, draws, seed: arguments of `control`.
    """

    def __init__(
        self,
        run: Run,
        components: RunComponents,
        device: torch.device,
        weights: Weights,
        batch_size: int,
        draws: int,
        seed: int,
    ) -> None:
        self.run, self.components, self.device = run, components, device
        self.batch_size, self.draws, self.seed = batch_size, draws, seed
        self.settings = {"weights": weights["sha256"], "steps": components.fast.steps, "draws": draws}
        self.settings |= {"batch_size": batch_size, "seed": seed}

    def draw(self, text: LabelledText, name: str) -> PosteriorDraws:
        """Draws of the posteriors of a text's chosen sequences, in their order."""
        folder, key = draws_folder(self.run.folder, name), key_of(text.sequences, text.rows, self.settings)
        if (kept := kept_draws(folder, key)) is not None:
            say(f"The posteriors of {len(text.rows):,} {name} texts are those of an earlier call")
            return kept
        draws = self._drawn(text, name)
        keep_draws(folder, key, draws)
        return draws

    def _drawn(self, text: LabelledText, name: str) -> PosteriorDraws:
        model, guide, fast, _ = self.components
        progress, size = Progress(len(text.rows)), self.batch_size
        starts = range(0, len(text.rows), size)
        batches = (text.sequences.batch(text.rows[start : start + size]).to(self.device) for start in starts)

        def listen(done: int) -> None:
            progress.update(done, f"fitting q to {name} texts of {self.run.folder}")

        try:
            return draw_posteriors(model, guide, fast, batches, self.draws, self.seed, listen)
        finally:
            progress.clear()


def _refuse_too_little(training: LabelledText, attribute: str) -> None:
    values = set(training.values)
    if len(values) < 2:
        raise InputError(
            f"--attribute {attribute}: every training text has the value {most_common(training.values)}, so that there "
            "is nothing to condition on. Name another field"
        )
    if len(training.values) < LEAST_TEXTS:
        raise InputError(
            f"{len(training.values)} training texts have a value of {attribute!r}: a fit takes {LEAST_TEXTS} or more"
        )


def _condition(values: list[str], attribute: str) -> Condition:
    """The kind of condition that suits the values of the training texts."""
    count = len(set(values))
    few = count <= FEW_VALUES and len(values) >= TEXTS_PER_VALUE * count
    kind: Condition = "values" if few else "thoughts"
    say(f"{count:,} values of {attribute} in {len(values):,} training texts: --condition {kind}")
    return kind


def _known(corpus: LabelledCorpus, attribute: str, kind: Condition) -> tuple[LabelledCorpus, list[str]]:
    """The texts whose values have a context, and sentences about those left out or cut off."""
    training, held_out, unlabelled = corpus
    about = [f"{unlabelled:,} documents without a value are left out."] if unlabelled else []
    if kind == "values":
        known = held_out.of_values(set(training.values))
        if not known.values:
            raise InputError(
                f"no held-out text has a value of {attribute!r} that a training text has: give --condition thoughts, "
                "which takes values never seen"
            )
        if unseen := len(held_out.values) - len(known.values):
            about.append(f"{unseen:,} held-out texts have a value that no training text has, and are left out.")
        held_out = known
    if truncated := training.sequences.truncated + held_out.sequences.truncated:
        about.append(f"{truncated:,} texts are longer than a sequence, and are cut off as in training.")
    return LabelledCorpus(training, held_out, unlabelled), about


def _initial(
    kind: Condition, z_shape: torch.Size, conditions: Tensor, values: int, sizes: FlowSizes, seed: int
) -> ControlPrior:
    """The prior at its start; the global random state is left as it was."""
    layers, thoughts, width = z_shape
    with torch.random.fork_rng(devices=range(torch.cuda.device_count())):
        torch.manual_seed(seed)
        prior = new_prior(kind, (layers, thoughts, width), values, sizes)
    if isinstance(prior.condition, ThoughtCondition):
        prior.condition.start_at(conditions)
    return prior


def _split(text: LabelledText, posteriors: PosteriorDraws, conditions: Tensor, seed: int) -> tuple[Texts, Texts]:
    """The training texts divided into those that are fitted and those that stop the fit."""
    calibrates = torch.from_numpy(calibration_of(text.values, seed)[text.texts])
    of_rows = conditions[torch.from_numpy(text.texts)]
    fitting, calibration = (Texts(posteriors.z[:, side], of_rows[side]) for side in (~calibrates, calibrates))
    return fitting, calibration


def calibration_of(values: list[str], seed: int) -> np.ndarray:
    """True for a random share of the texts, so that every value keeps one of the others if possible, bool (M,)."""
    left, wanted = Counter(values), max(1, round(CALIBRATION * len(values)))
    order = np.random.default_rng(seed).permutation(len(values))
    chosen = np.zeros(len(values), dtype=bool)
    for number in order:
        if chosen.sum() < wanted and left[values[number]] > 1:
            chosen[number] = True
            left[values[number]] -= 1
    for number in order:  # where all values differ
        chosen[number] |= chosen.sum() < wanted
    return chosen


def _fitted(prior: ControlPrior, fitting: Texts, calibration: Texts, settings: FlowFit, seed: int) -> FittedControl:
    """The fit of the flow with a progress line."""
    progress, parts = Progress(PARTS * settings.epochs), dict[str, int]()

    def listen(part: str, epoch: int) -> None:
        parts[part] = epoch
        progress.update((len(parts) - 1) * settings.epochs + epoch, f"fitting the flow: {part}")

    try:
        return fit_control(prior.condition, prior.flow, fitting, calibration, settings, seed, listen)
    finally:
        progress.clear()
