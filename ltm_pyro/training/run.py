"""A run's folder: all that is needed to repeat it, to go on with it, and to use what it learned."""

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
from ltm_pyro.models import AbstractDecoder, Decoder
from ltm_pyro.training.build import RunComponents, add_arguments, build, fingerprint
from ltm_pyro.training.checkpoints import STATE, Checkpoints, read_info, step_named
from ltm_pyro.training.consent import LARGEST, Consented, consented, read_arguments
from ltm_pyro.training.decoder_arguments import decoder_class
from ltm_pyro.training.decoder_settings import decoder_path
from ltm_pyro.training.metrics_log import MetricsLog
from ltm_pyro.training.missing_values import missing_value
from ltm_pyro.training.new_folder import made_aside
from ltm_pyro.training.own_runs import remember
from ltm_pyro.training.parse_errors import explain
from ltm_pyro.training.stubs import look_for_stubs_here

if TYPE_CHECKING:
    from jsonargparse import ArgumentParser, Namespace

    from ltm_pyro.data import Tokenizer

CONFIG, TOKENIZER, METRICS = "config.yaml", "tokenizer.json", "metrics.jsonl"
UNREADABLE = (ArithmeticError, AttributeError, ImportError, LookupError, OSError, RecursionError, TypeError, ValueError)


def run_parser(config: Namespace | None = None) -> ArgumentParser:
    """The parser of every argument of a run: one for all, since it takes a quarter of a second. Add nothing to it.

    Args:
        config: whose decoder it has the arguments of; those of `Decoder` if None.
    """
    return _parser_of(decoder_class(decoder_path(None if config is None else config.get("decoder"))))


@cache
def _parser_of(decoder: type[AbstractDecoder]) -> ArgumentParser:
    return new_run_parser(decoder)


def new_run_parser(decoder: type[AbstractDecoder] = Decoder) -> ArgumentParser:
    """A parser of every argument of a run, to which others may be added; errors are raised, not printed.

    Args:
        decoder: the class of the decoder.
    """
    from jsonargparse import ArgumentParser

    look_for_stubs_here()
    parser = ArgumentParser(prog="ltm train", exit_on_error=False)
    add_arguments(parser, decoder)
    return parser


USUAL = {"prior": "ltm_pyro.GaussianPrior", "guide": "ltm_pyro.MeanFieldGuide"}  # of a run that names none
USUAL_BOUND = "ltm_pyro.ELBO"


def parse_settings(settings: Mapping[str, Any]) -> Namespace:
    """Every argument of a run; what nested settings leave out has its default.

    The parser has no default in the place of a class: it would look for that one's arguments in the one that is named.

    Args:
        settings: as `class_paths.checked_arguments` returns them.
    """
    whole: dict[str, Any] = {**USUAL, **settings}
    for group in ("fast", "slow"):
        given = whole.get(group, {})
        whole[group] = {"bound": USUAL_BOUND, **given} if isinstance(given, dict) else given
    return _bare_parser(decoder_class(decoder_path(whole.get("decoder")))).parse_object(whole)


@cache
def _bare_parser(decoder: type[AbstractDecoder]) -> ArgumentParser:
    parser = new_run_parser(decoder)
    parser.set_defaults(dict.fromkeys([*USUAL, "fast.bound", "slow.bound"]))
    return parser


class Run:
    """`folder/`: config.yaml, tokenizer.json, data.json, metrics.jsonl, checkpoints/, samples/, evaluation/.

    Use `Run.create` for a new one and `Run.open` for one that is there.

    Args:
        folder: of the run.
        config: every argument of it.
        given: what its file holds, if it was read from one.

    Attributes:
        foreign: the classes of other packages that its file names.
        own: whether it was made here, or is trusted.
        remark: what of its file was left out when it was opened; mostly nothing.
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
        """Make a run's folder, whole or not at all, or begin one again that was cut off before its first checkpoint.

        It is remembered as its user's own.

        Args:
            folder, config: of the run.
            tokenizer: which is kept in it.
            further: text files by name.

        Raises:
            InputError: if it exists and is no such run, or cannot be made or written.
        """
        folder = Path(folder)
        again = is_unbegun(folder)
        if not again:
            refuse_existing(folder)
        run = cls(folder, config)
        try:
            if again:
                refuse_links(folder)
                (folder / METRICS).unlink(missing_ok=True)  # what the first attempt has noted is made again
                run._fill(folder, tokenizer, further or {})
            else:
                with made_aside(folder) as beside:
                    run._fill(beside, tokenizer, further or {})
        except InputError:
            raise
        except (OSError, ValueError) as error:
            if not again:
                refuse_existing(folder)  # another process may have been faster
            reason = getattr(error, "strerror", None) or error
            raise InputError(f"{folder} cannot be made: {reason}. Give a folder to write to by --run") from error
        with suppress(OSError, RuntimeError):  # then classes of the user's own need --trust_code later
            remember(folder / CONFIG)
        run.made_here = not again
        return run

    def _fill(self, folder: Path, tokenizer: Tokenizer, further: Mapping[str, str]) -> None:
        for name, text in {**further, CONFIG: run_parser(self.config).dump(self.config, skip_unset=False)}.items():
            write_text(folder / name, text)
        tokenizer.save(folder / TOKENIZER)

    @classmethod
    def open(cls, folder: Path | str, trust_code: bool = False) -> Run:
        """Open a run's folder. A run is data: this executes nothing that it names.

        Args:
            folder: of the run.
            trust_code: import the classes of other packages than ltm_pyro, torch and Pyro that it names, which runs
                their code. A run that was made at this place of this machine, and has not been edited, has this
                consent already.

        Raises:
            InputError: if it is none, if something in it leads out of it, if its configuration cannot be read, or if
                that names such classes without consent.
        """
        folder = Path(folder)
        if not os.path.lexists(folder / CONFIG):  # False too for names that no file can have
            raise InputError(f"{folder} is not a run: it has no {CONFIG}. {_runs_beside(folder)}")
        refuse_links(folder)
        return cls(folder, *_read_config(folder / CONFIG, trust_code))

    def discard_unless_begun(self) -> None:
        """Remove the folder of a run that was made here and has not taken a step, so that its name is free again."""
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

    def build(self) -> RunComponents:
        """The run's objects with initial weights."""
        return build(run_parser(self.config), self.config, self.tokenizer.vocabulary, self.tokenizer.bos_id)

    def load(self, which: str = "best") -> RunComponents:
        """The run's objects with trained weights, ready to evaluate.

        Args:
            which: `best` (by validation ELBO; the latest if none was validated), `latest`, or a step's number.

        Raises:
            InputError: if there is no such checkpoint, or it is damaged or of another configuration.
        """
        path = self.find(which)
        _ = self.tokenizer  # a damaged one says so itself
        read_info(path, self.fingerprint)  # before anything is made of the configuration
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
        """The folder of a checkpoint; `which` as in `load`."""
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
                f"{self.folder} has no checkpoint {which!r} nor any other, though it has come to step {step}: restore "
                "them from a copy, or train anew in another folder"
            )
        if not self.checkpoints.steps():
            return (
                f"{self.folder} has no checkpoint yet: it was cut off before the first, or is being trained. "
                f"`ltm train --resume {self.folder}` begins it again"
            )
        steps = ", ".join(map(str, self.checkpoints.steps()))
        return f"{self.folder} has no checkpoint {which!r}: expected best, latest or a step of: {steps}"


def _read_config(path: Path, trust_code: bool) -> tuple[Namespace, Consented]:
    """A run's configuration: first its bounds as YAML, then its class paths, then what the parser of arguments says."""
    from jsonargparse import ArgumentError

    parser = run_parser()
    given = consented(parser, read_arguments(path), path, trust_code)
    try:
        config = parse_settings(given.values)
        missing = missing_value(config)
    except (ArgumentError, *UNREADABLE) as error:
        raise InputError(
            f"{path} cannot be read: {explain(parser, error)} Restore the file from a copy; if it "
            "names a class of your own, start the command in the folder that holds its code"
        ) from error
    for name in ("corpus", "compile"):  # which the parser takes as they are
        validate(config.get(name), str | None, f"{path}, {name}")
    if missing is not None:
        raise InputError(f"{path} cannot be read: {missing} is null, expected a value. Restore the file from a copy")
    return config, given


def refuse_existing(folder: Path, config: Namespace | None = None) -> None:
    """Raises InputError if something is where a new run is to be; an empty folder is nothing.

    Args:
        folder: its place.
        config: of the new run. If given, a run of the same configuration that was cut off before its first checkpoint
            is no hindrance, since it begins again.
    """
    if is_unbegun(folder):
        if config is None or not _is_of(folder, config):
            raise InputError(
                f"{folder} holds a run without a checkpoint: `ltm train --resume {folder}` begins it again as it is "
                "configured. Else choose another --run, or remove it"
            )
    elif os.path.lexists(folder / CONFIG):
        resume = f", or go on with that run by `ltm train --resume {folder}`" if _can_go_on(folder) else ""
        raise InputError(f"{folder} exists: choose another --run{resume}")
    elif not _is_free(folder):
        raise InputError(f"{folder} exists, and is not a run: choose another --run, or remove it")


def is_unbegun(folder: Path) -> bool:
    """Whether there is a run that was cut off before its first checkpoint, which is all that it could go on from."""
    if not os.path.isfile(folder / CONFIG) or Checkpoints(folder / "checkpoints").steps():
        return False
    return _step_beyond_first_checkpoint(folder) is None


def _step_beyond_first_checkpoint(folder: Path) -> int | None:
    """The last step of a run that has taken one after its first checkpoint was due, so that it once had one."""
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
    """Whether the latest checkpoint holds more than weights: that of an imported run, or one from the hub, may not."""
    latest = Checkpoints(folder / "checkpoints").latest()
    with suppress(OSError, ValueError, LookupError, TypeError):
        if latest is None:
            return False
        pairs = read_json(latest / f"{STATE}.json")["dict"]
        return any(name == "slow" for name, _ in pairs)
    return True


def _runs_beside(folder: Path) -> str:
    for where, runs in (("in", _runs_in(folder)), ("beside", _runs_in(folder.parent))):
        if runs:
            return f"Runs {where} it: {', '.join(runs)}"
    return "`ltm train` makes one"


def _runs_in(folder: Path) -> list[str]:
    if not os.path.isdir(folder):
        return []
    return sorted(str(path.parent) for path in folder.glob(f"*/{CONFIG}") if not path.parent.name.startswith("."))
