"""A run's folder: all that is needed to repeat it, to go on with it, and to use what it learned."""

from __future__ import annotations

import os
import shutil
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ltm_pyro.errors import InputError
from ltm_pyro.files import parse_yaml, read_json, read_text, refuse_links, validate, write_text
from ltm_pyro.training.blueprint import Blueprint, add_arguments, assemble, fingerprint
from ltm_pyro.training.checkpoints import Checkpoints, read_info, step_named
from ltm_pyro.training.metrics_log import MetricsLog
from ltm_pyro.training.missing_values import missing_value
from ltm_pyro.training.parse_errors import explain

if TYPE_CHECKING:
    from jsonargparse import ArgumentParser, Namespace

    from ltm_pyro.data import Tokenizer

CONFIG, TOKENIZER = "config.yaml", "tokenizer.json"
CONFIG_BYTES = 2**18
UNREADABLE = (ArithmeticError, AttributeError, ImportError, LookupError, OSError, RecursionError, TypeError, ValueError)


def run_parser(prog: str = "ltm train") -> ArgumentParser:
    """A parser of every argument of a run; errors are raised, not printed."""
    from jsonargparse import ArgumentParser

    parser = ArgumentParser(prog=prog, exit_on_error=False)
    add_arguments(parser)
    return parser


class Run:
    """`folder/`: config.yaml, tokenizer.json, data.json, metrics.jsonl, checkpoints/, samples/, evaluation/.

    Use `Run.create` for a new one and `Run.open` for one that is there.
    """

    def __init__(self, folder: Path, config: Namespace) -> None:
        self.folder, self.config = folder, config
        self.checkpoints = Checkpoints(folder / "checkpoints", keep=config.train.keep)
        self.metrics = MetricsLog(folder / "metrics.jsonl")

    @classmethod
    def create(cls, folder: Path | str, config: Namespace, tokenizer: Tokenizer) -> Run:
        """Make a run's folder; nothing is left behind if that fails.

        Raises:
            InputError: if it exists, or cannot be made or written.
        """
        folder = Path(folder)
        refuse_existing(folder)
        try:
            folder.mkdir(parents=True)
            (folder / CONFIG).write_text(run_parser().dump(config, skip_unset=False), encoding="utf-8")
            tokenizer.save(folder / TOKENIZER)
        except (OSError, ValueError) as error:
            shutil.rmtree(folder, ignore_errors=True)
            reason = getattr(error, "strerror", None) or error
            raise InputError(f"{folder} cannot be made: {reason}. Give a folder to write to by --run") from error
        return cls(folder, config)

    @classmethod
    def open(cls, folder: Path | str) -> Run:
        """Open a run's folder.

        Raises:
            InputError: if it is none, if something in it leads out of it, or if its configuration cannot be read.
        """
        folder = Path(folder)
        if not os.path.lexists(folder / CONFIG):  # False too for names that no file can have
            raise InputError(f"{folder} is not a run: it has no {CONFIG}. {_runs_beside(folder)}")
        refuse_links(folder)
        return cls(folder, _read_config(folder / CONFIG))

    def discard_unless_begun(self) -> None:
        """Remove the folder of a run that has not taken a step, so that its name is free again."""
        if not self.metrics.path.exists():
            shutil.rmtree(self.folder, ignore_errors=True)

    def write(self, name: str, text: str) -> Path:
        """Write a text file into the folder; returns its path.

        Raises:
            InputError: if it cannot be written.
        """
        path = self.folder / name
        try:
            path.parent.mkdir(exist_ok=True)
            write_text(path, text)
        except OSError as error:
            raise InputError(
                f"{path} cannot be written: {error.strerror or error}. Free some space, or make the folder writable"
            ) from error
        return path

    def read_json(self, name: str, shape: Any = Any) -> Any:
        """What a JSON file of the folder holds.

        Args:
            name: of the file.
            shape: the type that is expected, as `files.validate` takes it.

        Raises:
            InputError: if it is missing, damaged or of another shape.
        """
        return read_json(self.folder / name, shape)

    @cached_property
    def tokenizer(self) -> Tokenizer:
        """The run's own tokenizer."""
        from ltm_pyro.data import Tokenizer

        if not (self.folder / TOKENIZER).is_file():
            raise InputError(f"{self.folder / TOKENIZER} is missing: restore it from a copy")
        return Tokenizer.load(str(self.folder / TOKENIZER))

    @cached_property
    def fingerprint(self) -> str:
        """Identifies the configuration that a checkpoint's weights belong to."""
        return fingerprint(self.config, self.folder / TOKENIZER)

    def assemble(self) -> Blueprint:
        """The run's objects with initial weights."""
        return assemble(run_parser(), self.config, self.tokenizer.vocabulary, self.tokenizer.begin)

    def load(self, which: str = "best") -> Blueprint:
        """The run's objects with trained weights, ready to evaluate.

        Args:
            which: `best` (by validation ELBO; the latest if none was validated), `latest`, or a step's number.

        Raises:
            InputError: if there is no such checkpoint, or it is damaged or of another configuration.
        """
        path = self.find(which)
        read_info(path, self.fingerprint)  # before anything is made of the configuration
        blueprint = self.assemble()
        weights = self.checkpoints.load_weights(path, self.fingerprint, blueprint.named_parameters())
        try:
            blueprint.load_state_dict(weights)
        except RuntimeError as error:
            raise InputError(f"{path} does not fit this run's model: {' '.join(str(error).split())}") from error
        blueprint.model.eval()
        blueprint.guide.eval()
        return blueprint.for_tables(self.config.train.evaluate_fast_steps)

    def find(self, which: str) -> Path:
        """The folder of a checkpoint; `which` as in `load`."""
        named = {"best": self.checkpoints.best() or self.checkpoints.latest(), "latest": self.checkpoints.latest()}
        path = named.get(which)
        if path is None and (step := step_named(which)) is not None:
            path = self.checkpoints.of_step(step)
        if path is None:
            steps = ", ".join(map(str, self.checkpoints.steps())) or "none"
            raise InputError(f"{self.folder} has no checkpoint {which!r}: expected best, latest or a step of: {steps}")
        return path


def _read_config(path: Path) -> Namespace:
    """A run's configuration: within its bounds as YAML, then by the parser of its arguments."""
    from jsonargparse import ArgumentError

    text = read_text(path, CONFIG_BYTES)
    validate(parse_yaml(text, str(path)), dict[str, Any], str(path))
    parser = run_parser()
    try:
        config = parser.parse_string(text)
        missing = missing_value(config)
    except (ArgumentError, *UNREADABLE) as error:
        raise InputError(
            f"{path} cannot be read: {explain(parser, error)} Restore the file from a copy; if it "
            "names a class of your own, start the command in the folder that holds its code"
        ) from error
    if missing is not None:
        raise InputError(f"{path} cannot be read: {missing} is null, expected a value. Restore the file from a copy")
    return config


def refuse_existing(folder: Path) -> None:
    """Raises InputError if something is where a new run is to be."""
    if os.path.lexists(folder / CONFIG):
        raise InputError(
            f"{folder} exists: choose another --run, or go on with that run by `ltm train --resume {folder}`"
        )
    if os.path.lexists(folder):
        raise InputError(f"{folder} exists, and is not a run: choose another --run, or remove it")


def _runs_beside(folder: Path) -> str:
    runs = sorted(str(path.parent) for path in folder.parent.glob(f"*/{CONFIG}")) if folder.name else []
    return f"Runs beside it: {', '.join(runs)}" if runs else "`ltm train` makes one"
