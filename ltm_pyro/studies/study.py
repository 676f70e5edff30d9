"""Base class of studies that train: plans, runs, keeps and reports trials."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from ltm_pyro.errors import InputError
from ltm_pyro.ranges import LARGEST
from ltm_pyro.runs import trials as of_trials
from ltm_pyro.runs.config import complete
from ltm_pyro.runs.console import say, show
from ltm_pyro.runs.results_folder import RESULTS, SETTINGS, ComparisonFolder, commit, versions
from ltm_pyro.studies import process
from ltm_pyro.studies.records import done
from ltm_pyro.studies.runner import TrialRunner
from ltm_pyro.studies.trial import Plan, Scoring, Trial

if TYPE_CHECKING:
    from ltm_pyro.training.data_module import DataModule

HEADLINE = {"exact": "exact", "elbo": "ELBO", "importance_weighted": "importance-weighted", "prior": "prior"}


class Report(NamedTuple):
    """Report of a study on its trials so far.

    Attributes:
        table: tables in Markdown.
        records: flat records, for records.csv.
        content: content of results.json.
        draw: function that writes the figures into a folder.
        texts: further files of the study, by name.
    """

    table: str
    records: list[dict[str, Any]]
    content: dict[str, Any]
    draw: Callable[[Path], object]
    texts: Mapping[str, str] = {}  # never modified


class Study(ABC):
    """Study of variants of a run, each trained with several seeds and scored.

    `out/` holds cells/ and runs/ by trial, settings.json, results.json, table.md, records.csv and figures/. A resumed
    study continues with the trials that were interrupted, that failed, or that are new.

    Args:
        out: folder of the study.
        settings: settings that must not change when the study is resumed.
        about: further content of settings.json.
        variants: changes to the settings by name of the variant; a resumed study may have further variants.
        processes: number of processes of one thread each; None runs the trials in this process, one after another,
            with all its threads.
        resume: continue the study in `out`.

    Raises:
        InputError: if `out` exists and `resume` is False, or if `resume` is True and `out` holds another study.
    """

    checkpoint = "best"
    measures: Sequence[str] = ()  # names of `job.MEASURES`
    one_text = True  # all trials must have the same text

    def __init__(
        self,
        out: Path | str,
        settings: Mapping[str, Any],
        about: Mapping[str, Any],
        *,
        variants: Mapping[str, Mapping[str, Any]] | None = None,
        processes: int | None = None,
        resume: bool = False,
    ) -> None:
        if processes is not None and not 1 <= processes <= LARGEST:
            raise InputError(f"--processes {processes}: expected 1 or more, and {LARGEST} or less")
        self.processes, self.resumed = processes, resume
        self.trials: Sequence[Trial] = ()
        self.runner: TrialRunner | None = None
        self.folder = _opened(Path(out), settings, resume)
        self._about = {"versions": versions(), "commit": commit(), "settings": self.folder.settings, **about}
        if variants is not None:
            self._about["variants"] = self.folder.with_variants(variants)
        if not resume:
            self._write_settings()

    @abstractmethod
    def plan_trials(self) -> Sequence[Trial]:
        """All trials, in order of their start."""

    @abstractmethod
    def scorings(self, trial: Trial) -> dict[str, Scoring]:
        """Scorings of a trial by name."""

    @abstractmethod
    def report(self) -> Report | None:
        """Report on the trials so far; None if no trial has ended."""

    @property
    def results(self) -> dict[str, dict[str, Any]]:
        """Results of the trials that have ended, by key."""
        return {} if self.runner is None else self.runner.results

    @property
    def is_done(self) -> bool:
        """True if every trial has its numbers."""
        return len(done(self.results, self.trials)) == len(self.trials)

    def begin(self) -> TrialRunner:
        """Plan the trials, read the results that exist, and write settings.json.

        Raises:
            InputError: if a trial was started with other settings.
        """
        if self.runner is None:
            self.trials = self.plan_trials()
            plans = {trial.key: self.plan(trial) for trial in self.trials}
            self.runner = TrialRunner(self.folder.path, self.trials, plans, self.processes)
            self._write_settings()
        return self.runner

    def carry_out(self) -> None:
        """Train and score all unfinished trials; the tables are written after each.

        Raises:
            InputError: if the corpus cannot be read, or differs from the corpus of earlier runs.
            KeyboardInterrupt: after every process has saved and exited.
            SystemExit: after a signal that interrupted a trial in this process, and after all work has been saved.
        """
        runner = self.begin()
        if any(trial.key not in runner.results for trial in self.trials):
            try:
                material = self.material if self.one_text else None
            except InputError:
                if not self.resumed:
                    self.folder.discard_unless_begun()
                raise
            runner.carry_out(self._on_end, material)

    def conduct(self) -> None:
        """Carry the study out, and show its tables at the end, also after an interrupt.

        Raises:
            NotKeptError: if a file could not be written.
        """
        runner = self.begin()
        at_once = f"{self.processes} at once" if self.processes else "one after another"
        say(f"{len(self.trials)} runs, {len(runner.results)} of them done; {at_once}, in {self.folder.path}")
        try:
            self.carry_out()
        finally:
            if report := self.finish():
                show(report.table)
                self.folder.refuse_unwritten()
                files = ", ".join(["table.md", "records.csv", RESULTS, SETTINGS, *report.texts, "figures/"])
                say(f"\nWritten to {self.folder.path}: {files}")

    def finish(self, figures: bool = True) -> Report | None:
        """Write the report on the trials so far; returns it, None if no trial has ended."""
        from ltm_pyro.tables import to_csv

        report = self.report()
        if report is None:
            return None
        for name, text in {
            "table.md": report.table + "\n",
            "records.csv": to_csv(report.records),
            **report.texts,
        }.items():
            self.folder.write(name, text)
        with self.folder.noted(RESULTS):
            process.write(self.folder.path / RESULTS, report.content)
        if figures:
            with self.folder.noted("figures"):
                report.draw(self.folder.path / "figures")
        return report

    @cached_property
    def material(self) -> DataModule:
        """Text of all trials, read with the settings of the first."""
        from ltm_pyro.training.data_module import prepare_data

        say("Reading the corpus ...")
        material = prepare_data(complete(self.text_settings()))
        of_trials.refuse_other_text(self.folder.path, material)
        return material

    def text_settings(self) -> Mapping[str, Any]:
        """Settings that determine the text of all trials."""
        return self.trials[0].settings

    def _write_settings(self) -> None:
        self.folder.write(SETTINGS, json.dumps(self._about, indent=2) + "\n")
        self.folder.insist()

    def plan(self, trial: Trial) -> Plan:
        """Plan of a trial: everything that its result depends on."""
        return {
            "settings": trial.settings,
            "start_from": trial.start_from,
            "checkpoint": self.checkpoint,
            "scorings": self.scorings(trial),
            "measures": list(self.measures),
            "one_text": self.one_text,
        }

    def _on_end(self, key: str) -> None:
        runner = self.begin()
        say(f"[{len(runner.results)}/{len(runner.trials)}] {runner.trials[key]}: {headline(runner.results[key])}")
        self.finish(figures=False)


def headline(result: Mapping[str, Any]) -> str:
    """Result of a trial in one line."""
    if result["status"] != "done":
        return f"FAILED: {result['reason']}"
    scored: Mapping[str, Any] = result["scored"]
    several = len(scored) > 1
    parts = [f"{f'{name}: ' if several else ''}{_numbers(score['numbers'])}" for name, score in scored.items()]
    return f"{'; '.join(parts)}; {result['cpu_seconds']:.0f} s"


def _numbers(record: Mapping[str, Any]) -> str:
    keys = {name: f"{number}_nats_per_token" for number, name in HEADLINE.items()}
    return ", ".join(f"{name} {record[key]:.4f}" for name, key in keys.items() if key in record)


def _opened(path: Path, settings: Mapping[str, Any], resume: bool) -> ComparisonFolder:
    """Folder of a study, new or resumed."""
    if path.exists() and not resume:
        state = "is a comparison: continue it with --resume, or" if (path / SETTINGS).exists() else "exists:"
        raise InputError(f"{path} {state} choose another --out")
    if resume and not (path / SETTINGS).exists():
        raise InputError(f"{path} holds no comparison to continue: leave out --resume")
    folder = ComparisonFolder(path, settings)
    folder.refuse_other_settings()
    return folder
