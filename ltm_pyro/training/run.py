"""The folder of a run: everything that is needed to repeat it, to resume it, and to use its weights."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from contextlib import suppress
from functools import cache, cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ltm_pyro.errors import InputError
from ltm_pyro.files import read_json, read_text, refuse_links, validate, write_text
from ltm_pyro.files.new_folder import made_aside
from ltm_pyro.models import AbstractDecoder, Decoder
from ltm_pyro.training.bases import BASES, Base, bases_of, recorded
from ltm_pyro.training.build import RunComponents, add_arguments, build, fingerprint
from ltm_pyro.training.checkpoints import STATE, Checkpoints, read_info, step_named
from ltm_pyro.training.consent import LARGEST, Consented, consented, read_arguments
from ltm_pyro.training.decoder_arguments import decoder_class
from ltm_pyro.training.decoder_settings import decoder_path
from ltm_pyro.training.metrics_log import MetricsLog
from ltm_pyro.training.missing_values import missing_value
from ltm_pyro.training.own_runs import remember
from ltm_pyro.training.parse_errors import explain
from ltm_pyro.training.stubs import look_for_stubs_here

if TYPE_CHECKING:
    from jsonargparse import ArgumentParser, Namespace

    from ltm_pyro.data import Tokenizer

CONFIG, TOKENIZER, METRICS = "config.yaml", "tokenizer.json", "metrics.jsonl"
UNREADABLE = (ArithmeticError, AttributeError, ImportError, LookupError, OSError, RecursionError, TypeError, ValueError)


def run_parser(config: Namespace | None = None) -> ArgumentParser:
    """The shared parser of every argument of a run, made once since that takes a quarter of a second; do not change it.

    Args:
        config: with the decoder whose arguments the parser has; `Decoder` if None.
    """
    return _parser_of(decoder_class(decoder_path(None if config is None else config.get("decoder"))))


@cache
def _parser_of(decoder: type[AbstractDecoder]) -> ArgumentParser:
    return new_run_parser(decoder)


def new_run_parser(decoder: type[AbstractDecoder] = Decoder) -> ArgumentParser:
    """A new parser of every argument of a run, to which others may be added; errors are raised, not printed.

    Args:
        decoder: the class of the decoder.
    """
    from jsonargparse import ArgumentParser

    look_for_stubs_here()
    parser = ArgumentParser(prog="ltm train", exit_on_error=False)
    add_arguments(parser, decoder)
    return parser


USUAL = {"prior": "ltm_pyro.GaussianPrior", "guide": "ltm_pyro.MeanFieldGuide"}  # the classes of a run that names none
USUAL_BOUND = "ltm_pyro.ELBO"


def parse_settings(settings: Mapping[str, Any]) -> Namespace:
    """Parse nested settings of a run; arguments that they leave out have their defaults.

    The parser has no defaults for classes: it would apply the default class's arguments to the class that is named.

    Args:
        settings: as `class_paths.checked_arguments` returns them.
    """
    values: dict[str, Any] = {**USUAL, **settings}
    for group in ("fast", "slow"):
        arguments = values.get(group, {})
        values[group] = {"bound": USUAL_BOUND, **arguments} if isinstance(arguments, dict) else arguments
    return _bare_parser(decoder_class(decoder_path(values.get("decoder")))).parse_object(values)


@cache
def _bare_parser(decoder: type[AbstractDecoder]) -> ArgumentParser:
    parser = new_run_parser(decoder)
    parser.set_defaults(dict.fromkeys([*USUAL, "fast.bound", "slow.bound"]))
    return parser


class Run:
    """A run: a folder with config.yaml, tokenizer.json, data.json, metrics.jsonl, checkpoints/, samples/, evaluation/.

    With pretrained parts it has base.json too, which says what they are; their frozen weights are not in the folder.

    Use `Run.create` for a new run and `Run.open` for an existing one.

    Args:
        folder: of the run.
        config: every argument of the run.
        given: the checked content of its config.yaml, if it was read from one.

    Attributes:
        foreign: the classes of other packages that its config.yaml names.
        own: True if the run was made on this machine, or is trusted.
        remark: message about arguments that were left out when the run was opened; usually empty.
    """

    def __init__(self, folder: Path, config: Namespace, given: Consented | None = None) -> None:
        self.folder, self.config = folder, config
        self.foreign = given.foreign if given else []
        self.own, self.remark = (given.own, given.remark) if given else (True, "")
        self.checkpoints = Checkpoints(folder / "checkpoints", keep=config.train.keep)
        self.metrics = MetricsLog(folder / METRICS)
        self.made_here = False

    @classmethod
    def create(
        cls, folder: Path | str, config: Namespace, tokenizer: Tokenizer, further: Mapping[str, str] | None = None
    ) -> Run:
        """Make a run's folder atomically, or renew that of a run that was interrupted before its first checkpoint.

        The run is recorded as the user's own.

        Args:
            folder, config: of the run.
            tokenizer: saved in the folder.
            further: further text files, by name.

        Raises:
            InputError: if the folder exists and is no such run, or cannot be made or written.
        """
        folder = Path(folder)
        again = is_unbegun(folder)
        if not again:
            refuse_existing(folder)
        run = cls(folder, config)
        try:
            if again:
                refuse_links(folder)
                (folder / METRICS).unlink(missing_ok=True)  # the records of the first attempt are written again
                run._fill(folder, tokenizer, further or {})
            else:
                with made_aside(folder) as temporary:
                    run._fill(temporary, tokenizer, further or {})
        except InputError:
            raise
        except (OSError, ValueError) as error:
            if not again:
                refuse_existing(folder)  # another process may have made it meanwhile
            reason = getattr(error, "strerror", None) or error
            raise InputError(f"{folder} cannot be made: {reason}. Give a folder to write to by --run") from error
        with suppress(OSError, RuntimeError):  # without a record the user's own classes need --trust_code later
            remember(folder / CONFIG)
        run.made_here = not again
        return run

    def _fill(self, folder: Path, tokenizer: Tokenizer, further: Mapping[str, str]) -> None:
        for name, text in {**further, CONFIG: run_parser(self.config).dump(self.config, skip_unset=False)}.items():
            write_text(folder / name, text)
        tokenizer.save(folder / TOKENIZER)
        if bases := recorded(self.config):
            write_text(folder / BASES, bases)

    @classmethod
    def open(cls, folder: Path | str, trust_code: bool = False) -> Run:
        """Open a run's folder. A run is data: no code that it names is executed without consent.

        Args:
            folder: of the run.
            trust_code: import the classes of other packages than ltm_pyro, torch and Pyro that the run names, which
                runs their code. A run that was made at this path of this machine, and has not been edited, has this
                consent already.

        Raises:
            InputError: if the folder is no run or contains links, if its configuration cannot be read, or if that names
                such classes without consent.
        """
        folder = Path(folder)
        if not os.path.lexists(folder / CONFIG):  # False too for names that no file can have
            raise InputError(f"{folder} is not a run: it has no {CONFIG}. {_runs_beside(folder)}")
        refuse_links(folder)
        return cls(folder, *_read_config(folder / CONFIG, trust_code))

    def discard_unless_begun(self) -> None:
        """Remove the folder of a run that this object made and that has not taken a step, so that its name is free."""
        if self.made_here and not self.metrics.path.exists():
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
        """The content of a JSON file of the folder.

        Args:
            name: of the file.
            shape: the expected type, as for `files.validate`.

        Raises:
            InputError: if the file is missing, damaged or of another type.
        """
        return read_json(self.folder / name, shape)

    @cached_property
    def tokenizer(self) -> Tokenizer:
        """The tokenizer in the run's folder."""
        from ltm_pyro.data import Tokenizer

        if not (self.folder / TOKENIZER).is_file():
            raise InputError(f"{self.folder / TOKENIZER} is missing: restore it from a copy")
        return Tokenizer.load(str(self.folder / TOKENIZER))

    @cached_property
    def bases(self) -> list[Base]:
        """The pretrained models that the run needs besides its own folder; none of them is looked for here."""
        return bases_of(self.folder, self.config)

    @cached_property
    def fingerprint(self) -> str:
        """Hash of the configuration and the tokenizer that a checkpoint's weights belong to."""
        return fingerprint(self.config, self.folder / TOKENIZER)

    def build(self) -> RunComponents:
        """The run's objects with initial weights."""
        return build(run_parser(self.config), self.config, self.tokenizer)

    def load(self, which: str = "best") -> RunComponents:
        """The run's objects with the weights of a checkpoint, in evaluation mode.

        Args:
            which: `best` (by validation ELBO; the latest if none was validated), `latest`, or a step number.

        Raises:
            InputError: if there is no such checkpoint, or it is damaged or of another configuration.
        """
        path = self.find(which)
        _ = self.tokenizer  # a damaged tokenizer raises its own error
        read_info(path, self.fingerprint)  # before anything is built from the configuration
        components = self.build()
        weights = self.checkpoints.load_weights(path, self.fingerprint, components.named_parameters())
        try:
            components.load_state_dict(weights)
        except RuntimeError as error:
            raise InputError(f"{path} does not fit this run's model: {' '.join(str(error).split())}") from error
        components.model.eval()
        components.guide.eval()
        return components.for_tables(self.config.train.evaluate_fast_steps)

    def find(self, which: str) -> Path:
        """The folder of the checkpoint `which`, as in `load`."""
        named = {"best": self.checkpoints.best() or self.checkpoints.latest(), "latest": self.checkpoints.latest()}
        path = named.get(which)
        if path is None and (step := step_named(which)) is not None:
            path = self.checkpoints.of_step(step)
        if path is None:
            raise InputError(self._no_checkpoint(which))
        return path

    def _no_checkpoint(self, which: str) -> str:
        if step := not self.checkpoints.steps() and _step_beyond_first_checkpoint(self.folder):
            return (
                f"{self.folder} has no checkpoints, although it has reached step {step}: restore them from a copy, or "
                "train anew in another folder"
            )
        if not self.checkpoints.steps():
            return (
                f"{self.folder} has no checkpoint yet: it was interrupted before the first, or is being trained. "
                f"`ltm train --resume {self.folder}` begins it again"
            )
        steps = ", ".join(map(str, self.checkpoints.steps()))
        return f"{self.folder} has no checkpoint {which!r}: expected best, latest or a step of: {steps}"


def _read_config(path: Path, trust_code: bool) -> tuple[Namespace, Consented]:
    """Read a run's configuration, checking its size as YAML, then its class paths, then its arguments by the parser."""
    from jsonargparse import ArgumentError

    parser = run_parser()
    content = consented(parser, read_arguments(path), path, trust_code)
    try:
        config = parse_settings(content.values)
        missing = missing_value(config)
    except (ArgumentError, *UNREADABLE) as error:
        raise InputError(
            f"{path} cannot be read: {explain(parser, error)} Restore the file from a copy; if it "
            "names a class of your own, start the command in the folder that holds its code"
        ) from error
    for name in ("corpus", "compile"):  # whose types the parser does not check
        validate(config.get(name), str | None, f"{path}, {name}")
    if missing is not None:
        raise InputError(f"{path} cannot be read: {missing} is null, expected a value. Restore the file from a copy")
    return config, content


def refuse_existing(folder: Path, config: Namespace | None = None) -> None:
    """Raise InputError if the path of a new run is taken; an empty folder is accepted.

    Args:
        folder: the path of the new run.
        config: of the new run. If given, a run of the same configuration that was interrupted before its first
            checkpoint is accepted, since it begins again.
    """
    if is_unbegun(folder):
        if config is None or not _is_of(folder, config):
            raise InputError(
                f"{folder} holds a run without a checkpoint: `ltm train --resume {folder}` begins it again with its "
                "own configuration. Otherwise choose another --run, or remove it"
            )
    elif os.path.lexists(folder / CONFIG):
        resume = f", or resume that run by `ltm train --resume {folder}`" if _can_go_on(folder) else ""
        raise InputError(f"{folder} exists: choose another --run{resume}")
    elif not _is_free(folder):
        raise InputError(f"{folder} exists, and is not a run: choose another --run, or remove it")


def is_unbegun(folder: Path) -> bool:
    """True if the folder is a run that was interrupted before its first checkpoint, so that it can only begin again."""
    if not os.path.isfile(folder / CONFIG) or Checkpoints(folder / "checkpoints").steps():
        return False
    return _step_beyond_first_checkpoint(folder) is None


def _step_beyond_first_checkpoint(folder: Path) -> int | None:
    """The last step of a run, if its first checkpoint was due before, so that it must have had one; else None."""
    with suppress(OSError, ValueError, LookupError, TypeError):
        settings = read_arguments(folder / CONFIG)["train"]
        due = min(settings["steps"], settings["save_every"], settings["evaluate_every"])
        last = max((record.get("step", 0) for record in MetricsLog(folder / METRICS).read()), default=0)
        return last if last > due else None
    return None


def _is_of(folder: Path, config: Namespace) -> bool:
    with suppress(OSError, ValueError):
        return read_text(folder / CONFIG, LARGEST) == run_parser(config).dump(config, skip_unset=False)
    return False


def _is_free(folder: Path) -> bool:
    return not any(folder.iterdir()) if os.path.isdir(folder) else not os.path.lexists(folder)


def _can_go_on(folder: Path) -> bool:
    """True if the latest checkpoint can be resumed; that of an imported run or from the hub may hold weights only."""
    latest = Checkpoints(folder / "checkpoints").latest()
    with suppress(OSError, ValueError, LookupError, TypeError):
        if latest is None:
            return False
        pairs = read_json(latest / f"{STATE}.json")["dict"]
        return any(name == "slow" for name, _ in pairs)
    return True


def _runs_beside(folder: Path) -> str:
    for relation, runs in (("in", _runs_in(folder)), ("beside", _runs_in(folder.parent))):
        if runs:
            return f"Runs {relation} it: {', '.join(runs)}"
    return "`ltm train` makes one"


def _runs_in(folder: Path) -> list[str]:
    if not os.path.isdir(folder):
        return []
    return sorted(str(path.parent) for path in folder.glob(f"*/{CONFIG}") if not path.parent.name.startswith("."))
