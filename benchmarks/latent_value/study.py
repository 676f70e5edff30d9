"""Study of the latents' value: all rows of a table and their autoregressive twins, trained and scored."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from benchmarks.latent_value import records
from benchmarks.latent_value.report import draw, markdown
from benchmarks.latent_value.table import Row, Table
from benchmarks.latent_value.twins import FULL_NAME, Twins
from ltm_pyro.errors import InputError
from ltm_pyro.files import finite
from ltm_pyro.runs.config import Settings, complete, merged, value_of
from ltm_pyro.runs.names import corpus_name
from ltm_pyro.studies.study import Report, Study
from ltm_pyro.studies.trial import VALIDATION, Scoring, Trial, check_seeds

if TYPE_CHECKING:
    from ltm_pyro.training.data_module import DataModule

BUILT_IN = "built-in"
SEED = 0  # seed of noise, the same for all evaluations, which pairs them


@dataclass(frozen=True)
class Measurement:
    """Settings of the measurement of every run.

    Attributes:
        limit: largest number of held-out texts to score at the end.
        draws: S.
        points: number of validations of a run, for the curves.
        checkpoint: checkpoint to score, `best` (by validation) or `latest`.
    """

    limit: int = 512
    draws: int = 16
    points: int = 10
    checkpoint: str = "best"


@dataclass(frozen=True)
class Corpus:
    """Corpus, `built-in` or paths as for `ltm train`, with its settings."""

    name: str
    settings: Settings

    @classmethod
    def named(cls, spec: str) -> Corpus:
        """Parse `PATH [ARGUMENT OF ltm train ...]`."""
        try:
            first, *further = shlex.split(spec)
        except ValueError as error:
            raise InputError(f"--corpus {spec!r}: expected built-in, or a path and arguments of ltm train") from error
        settings = merged({} if first == BUILT_IN else {"corpus": first}, _settings(spec, further))
        cut = [value_of(settings, path) for path in ("data.mode", "data.length")]
        plain = corpus_name(first).rsplit(".", 1)[0].replace(".", "-")
        return cls("-".join([plain, *(str(value) for value in cut if value is not None)]), settings)


class LatentValueStudy(Study):
    """Study with a run of every row, and of its autoregressive twin, for each corpus and seed.

    Args:
        table: table of conditions.
        corpora: the corpora.
        seeds: seeds of weights, order and noise. The split is the same for all.
        tokens: number of training tokens of each run; the base's steps if None.
        measurement: settings of the measurements.
        out: folder of the study; comparisons/latent-value-TABLE if None.
        processes: number of processes of one thread each.
        resume: continue the study in `out`.
        about: further content of settings.json.

    Raises:
        InputError: for rows that `ltm train` would refuse, or with equal names, or if `out` exists without `resume`, or
            holds another study.
    """

    one_text = False

    def __init__(
        self,
        table: Table,
        corpora: Sequence[Corpus],
        seeds: Sequence[int] = (0,),
        tokens: int | None = None,
        measurement: Measurement = Measurement(),  # frozen
        *,
        out: Path | None = None,
        processes: int | None = 1,
        resume: bool = False,
        about: dict[str, Any] | None = None,
    ) -> None:
        check_seeds(seeds)
        self.table, self.corpora, self.seeds, self.tokens = table, corpora, seeds, tokens
        self.measurement, self.checkpoint = measurement, measurement.checkpoint
        self.planned = list(self._planned())
        content: dict[str, Any] = {"table": table._asdict() | {"rows": [row._asdict() for row in table.rows]}}
        content |= {"scoring": asdict(measurement), "corpora": [corpus.name for corpus in corpora]}
        content |= {"seeds": list(seeds), "tokens": tokens, **(about or {})}
        super().__init__(
            out or Path("comparisons") / f"latent-value-{table.name}", {}, content, processes=processes, resume=resume
        )
        self.begin()

    def plan_trials(self) -> Sequence[Trial]:
        return self.planned

    def scorings(self, trial: Trial) -> dict[str, Scoring]:
        limit, draws = self.measurement.limit, self.measurement.draws
        return {VALIDATION: {"draws": draws, "limit": limit, "seed": SEED, "fast_steps": None}}

    def report(self) -> Report | None:
        run_records = records.run_records(self.trials, self.results)
        if not run_records:
            return None
        rows, points = records.summaries(self.trials, self.results), records.curves(self.trials, self.results)
        return Report(
            table=markdown(self.table.about, rows, records.failures(self.trials, self.results)),
            records=run_records,
            content=finite({"summary": rows, "records": run_records, "curves": points}),
            draw=lambda folder: draw(rows, run_records, points, folder),
        )

    def _planned(self) -> Iterator[Trial]:
        """Trials, grouped by seed; within a corpus, the autoregressive rows come first."""
        keys: set[str] = set()
        rows = [row for corpus in self.corpora for row in self._rows(corpus)]
        for seed in self.seeds:
            for corpus, row, settings, about in rows:
                trial = self._trial(corpus, row, settings, about, seed)
                if trial.key in keys:
                    raise InputError(f"{trial}: the name differs from another by punctuation alone: rename one of them")
                keys.add(trial.key)
                yield trial

    def _rows(self, corpus: Corpus) -> Iterator[tuple[Corpus, Row, Settings, dict[str, Any]]]:
        """Rows on a corpus with the settings of their runs, without seed, and the names of their twins."""
        material = self._material(corpus)
        twins = Twins(self.table, corpus.settings, material.tokenizer.vocabulary)
        for row in [*twins.rows.values(), *self.table.rows]:
            kind = records.THOUGHTS if row.has_thoughts else records.FULL if row.name == FULL_NAME else records.TWIN
            twin = twins.of.get(row.name)
            about = {"corpus": corpus.name, "row": row.name, "kind": kind, "twin": twin}
            settings = merged(row.settings_on(corpus.settings), self._further(row, corpus, twins, material))
            yield corpus, row, settings, {**about, "full": FULL_NAME if twin else None}

    def _further(self, row: Row, corpus: Corpus, twins: Twins, material: DataModule) -> Settings:
        """Settings of a row's budget, its validations, and the split."""
        config = twins.config(row)
        steps = config.train.steps
        if self.tokens is not None:
            steps = self.tokens / (config.train.batch_size * material.training.token_count / len(material.training))
        steps = max(1, round(steps * row.tokens))
        every = max(1, steps // self.measurement.points)
        split = config.data.seed if config.data.seed is not None else 0
        numbers = {"steps": steps, "evaluate_every": every, "save_every": every, "keep": 1, "samples": 0}
        return {"train": numbers, "data": {"seed": split}}

    def _trial(self, corpus: Corpus, row: Row, settings: Settings, about: dict[str, Any], seed: int) -> Trial:
        parent = records.key_of(corpus.name, row.start_from, seed) if row.start_from else None
        key, seeded = records.key_of(corpus.name, row.name, seed), merged(settings, {"train.seed": seed})
        return Trial(f"{corpus.name}: {row.name}", seed, key, seeded, parent, about)

    def _material(self, corpus: Corpus) -> DataModule:
        """Read the corpus, and leave it in the cache for the training processes."""
        from ltm_pyro.training.data_module import prepare_data

        config = complete(Row("", self.table.base, {}).settings_on(corpus.settings))
        config.data.seed = config.data.seed or 0
        try:
            return prepare_data(config)
        except InputError as error:
            raise InputError(f"corpus {corpus.name}: {error}") from error


def _settings(spec: str, further: Sequence[str]) -> Settings:
    """Settings from the options after a corpus, `--NAME VALUE` or `--NAME=VALUE`."""
    words = list(further)
    settings: Settings = {}
    while words:
        name, equals, value = words.pop(0).partition("=")
        if not re.fullmatch(r"--[\w.]+", name) or not (equals or words):
            raise InputError(f"--corpus {spec!r}: expected arguments after the path, as --data.mode documents")
        settings = merged(settings, {name.removeprefix("--"): yaml.safe_load(value if equals else words.pop(0))})
    return settings
