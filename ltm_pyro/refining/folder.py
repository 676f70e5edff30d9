"""The folder of a refined run: that of a run, with attempts, pairs, chains and the report beside its checkpoints."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from typing_extensions import TypedDict

from ltm_pyro.errors import InputError
from ltm_pyro.files import finite, read_json
from ltm_pyro.refining.lines import append_lines, read_lines, write_lines
from ltm_pyro.refining.records import AttemptRecord, Chain, Pair, chains_of, pairs_of
from ltm_pyro.refining.report import Round, table
from ltm_pyro.training.data_module import REFINED, DataRecord
from ltm_pyro.training.held_out import CORPUS, DATA
from ltm_pyro.training.pinning import pinned
from ltm_pyro.training.places import with_absolute_paths
from ltm_pyro.training.run import Run, refuse_existing

if TYPE_CHECKING:
    from jsonargparse import Namespace

REPORT, TABLE = "refine.json", "refine.md"
ATTEMPTS, PAIRS, CHAINS, STEPS = "attempts.jsonl", "pairs.jsonl", "chains.jsonl", "steps.jsonl"


class Report(TypedDict):
    """The content of `refine.json`: the settings of the call, and the numbers of the finished rounds."""

    settings: dict[str, Any]
    rounds: list[Round]


class RefinedFolder:
    """A refined run with its records.

    Args:
        run: the refined run.
        settings: everything that its weights depend on.
        rounds: the finished rounds.
    """

    def __init__(self, run: Run, settings: Mapping[str, Any], rounds: list[Round]) -> None:
        self.run, self.settings, self.rounds = run, settings, rounds

    @classmethod
    def create(
        cls, folder: Path, source: Run, changes: Mapping[str, Any], settings: Mapping[str, Any], corpus: str | None
    ) -> RefinedFolder:
        """Make the folder of a new run, which has its source's configuration, tokenizer and held-out text.

        Args:
            folder: of the new run.
            source: the run that is refined.
            changes: arguments of the configuration that change, by dotted name.
            settings: as for the class.
            corpus: the place of the source's corpus now, if it has been moved.

        Raises:
            InputError: if the folder exists, or cannot be made.
        """
        config: Namespace = source.config.clone()
        for name, value in {**changes, "train.start_from": str(source.folder)}.items():
            config[name] = value
        config = pinned(with_absolute_paths(config))
        if (folder / REPORT).is_file() and not (folder / "checkpoints").exists():
            raise InputError(
                f"{folder} holds a refinement that has finished no round: the command that began it goes on with "
                "--resume. Otherwise choose another --run, or remove it"
            )
        refuse_existing(folder, config)
        record = {**source.read_json(DATA, DataRecord), REFINED: os.path.abspath(source.folder)}
        if corpus is not None:
            record[CORPUS] = os.path.abspath(corpus) if os.path.exists(corpus) else corpus
        further = {DATA: json.dumps(record, indent=2) + "\n", REPORT: _content(settings, [])}
        return cls(Run.create(folder, config, source.tokenizer, further), settings, [])

    @classmethod
    def open(cls, folder: Path, settings: Mapping[str, Any], trust_code: bool) -> RefinedFolder:
        """Open the folder of an interrupted refinement.

        Raises:
            InputError: if there is none, or it was begun with other settings.
        """
        if not (folder / REPORT).is_file():
            raise InputError(f"{folder} holds no refinement to go on with: leave out --resume")
        run = Run.open(folder, trust_code)
        report = read_json(folder / REPORT, Report)
        before, now = report["settings"], json.loads(json.dumps(settings))
        if changed := [name for name in {**before, **now} if before.get(name) != now.get(name)]:
            raise InputError(
                f"{folder} was begun with another {', '.join(changed)}: give the settings of "
                f"{folder / REPORT}, with which it was begun, or another --run"
            )
        return cls(run, settings, report["rounds"])

    def attempts(self) -> list[AttemptRecord]:
        """The attempts so far; an incomplete last line, left by a kill, is removed from the file."""
        path = self.run.folder / ATTEMPTS
        records: list[AttemptRecord] = read_lines(path, AttemptRecord)
        if path.is_file():
            write_lines(path, records)
        return records

    def keep_attempts(self, records: list[AttemptRecord]) -> None:
        """Append attempts."""
        append_lines(self.run.folder / ATTEMPTS, records)

    def derive(self, records: list[AttemptRecord]) -> tuple[list[Pair], list[Chain]]:
        """Write the pairs and the chains of all attempts, and read them back."""
        write_lines(self.run.folder / PAIRS, pairs_of(records))
        write_lines(self.run.folder / CHAINS, chains_of(records))
        return read_lines(self.run.folder / PAIRS, Pair), read_lines(self.run.folder / CHAINS, Chain)

    def finish_round(self, record: Round, steps: list[dict[str, Any]], has_thoughts: bool) -> None:
        """Keep the numbers of a round, and those of its steps."""
        path = self.run.folder / STEPS
        before = [line for line in read_lines(path, dict[str, Any]) if line["round"] < record["round"]]
        write_lines(path, [*before, *finite(steps)])
        self.rounds.append(record)
        self.run.write(TABLE, table(self.rounds, has_thoughts) + "\n")
        self.run.write(REPORT, _content(self.settings, self.rounds))


def _content(settings: Mapping[str, Any], rounds: list[Round]) -> str:
    return json.dumps(finite({"settings": settings, "rounds": rounds}), indent=2) + "\n"
