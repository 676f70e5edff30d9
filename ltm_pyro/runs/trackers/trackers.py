"""Trackers of a run: started before training, and given up if they fail in the course of it."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from contextlib import redirect_stdout
from operator import methodcaller
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ltm_pyro.errors import InputError
from ltm_pyro.runs.config import as_dict
from ltm_pyro.runs.console import say
from ltm_pyro.runs.trackers import continued
from ltm_pyro.runs.trackers.adapter import Adapter, Place
from ltm_pyro.runs.trackers.configuration import flattened, masked
from ltm_pyro.runs.trackers.mlflow import MLflow
from ltm_pyro.runs.trackers.tensorboard import TensorBoard
from ltm_pyro.runs.trackers.trackio import Trackio
from ltm_pyro.runs.trackers.wandb import WandB
from ltm_pyro.training.records import flat

if TYPE_CHECKING:
    from accelerate import Accelerator

    from ltm_pyro.training.run import Run

ADAPTERS: dict[str, type[Adapter]] = {
    "tensorboard": TensorBoard,
    "mlflow": MLflow,
    "wandb": WandB,
    "trackio": Trackio,
}  # all others of Accelerate by `Adapter` itself
EXTRAS = tuple(ADAPTERS)  # extras of ltm-pyro, of the same names, that install their packages
BY_TOKENS = "by_tokens"  # prefix of metrics whose step is the number of tokens
DRAWN_BY_TOKENS = ("elbo", "log_likelihood", "kl")  # and every number of a validation


class Trackers:
    """Trackers to which a run reports: configuration, metrics, figures and texts.

    A tracker that does not start ends a new run before its first step, and is left out of a resumed run. A tracker that
    fails later is left out from then on. Both are said in one line. The next resume sends it the metrics that it
    missed, from the run's own log.

    Args:
        run: the run.
        accelerator: with the trackers that `train.trackers` names. Only the first process reports.

    Attributes:
        started: adapters of the trackers that report, by name.
    """

    def __init__(self, run: Run, accelerator: Accelerator) -> None:
        self.run, self.accelerator = run, accelerator
        self.started: dict[str, Adapter] = {}
        self.step = 0
        self._tokens = 0
        self._until: dict[str, int] = {}
        self._before = continued.read(run.folder) if run.config.train.trackers else {}
        self._logged = _last_step(run) if self._before else 0

    def start(self, step: int) -> None:
        """Start all trackers, for a run that has taken `step` slow steps.

        Raises:
            InputError: if one cannot be started, and no step has been taken.
        """
        names = list(dict.fromkeys(map(str, self.accelerator.log_with)))
        if not names or not self.accelerator.is_main_process:
            return
        self.step = step
        for name in names:
            try:
                self._start(name)
            except Exception as error:
                message = f"the tracker {name} cannot be started: {_reason(error)}"
                if not step:
                    self.close("failed")
                    raise InputError(f"{message}. Leave it out of --train.trackers, or repair it") from error
                say(f"{message}. Training goes on without it; its metrics are in {self.run.metrics.path}")
        self._keep()

    def log(self, record: dict[str, Any]) -> None:
        """Report a record of the log."""
        self.step, self._tokens = record["step"], record.get("tokens", self._tokens)
        for name in list(self.started):
            if self.step > self._until.get(name, 0):
                self._do(name, lambda adapter: self._send(adapter, record))

    def figures(self, paths: Sequence[Path], step: int) -> None:
        """Report figures, by the names of their PNG files."""
        for path in (path for path in paths if path.suffix == ".png"):
            self._do_all(methodcaller("figure", f"figures/{path.stem}", path, step))

    def text(self, name: str, text: str, step: int) -> None:
        """Report a text."""
        self._do_all(methodcaller("text", name, text, step))

    def close(self, status: str) -> None:
        """End the trackers' runs.

        Args:
            status: `finished`, `failed` or `killed`.
        """
        ended = dict(self.started)
        self._do_all(methodcaller("finish", status))
        if ended:
            self._keep({name: self.step for name in ended if name in self.started})
        self.started = {}

    def _start(self, name: str) -> None:
        kind, before = ADAPTERS.get(name, Adapter), self._before.get(name)
        try:
            self._begin(name, kind, None if before is None else before["identity"])
        except Exception as error:
            if before is None:
                raise
            say(f"{name}: run {before['identity']} cannot be continued ({_reason(error)}); a new one is begun")
            before = None
            self._begin(name, kind, None)
        adapter = self.started[name]
        if before is not None and adapter.identity() == before["identity"]:
            until = self._logged if before["until"] is None else before["until"]
            self._until[name] = until
        self._do(name, lambda adapter: self._send_missed(name, adapter))

    def _begin(self, name: str, kind: type[Adapter], identity: str | None) -> None:
        """Start one tracker, and log the configuration."""
        import yaml

        settings = self.run.config.train
        project, run_name = settings.project, settings.run_name or self.run.folder.resolve().name
        place = Place(self.run.folder, project, run_name, identity)
        configuration = masked(as_dict(self.run.config))
        values = flattened(configuration)
        accelerator, requested = self.accelerator, self.accelerator.log_with
        accelerator.log_with = [one for one in requested if str(one) == name]
        try:
            with redirect_stdout(sys.stderr):  # results alone belong on standard output
                accelerator.init_trackers(kind.project(place), init_kwargs={name: kind.options(place, values)})
                adapter = kind(accelerator.trackers[0])
                adapter.configure(values, yaml.safe_dump(configuration, sort_keys=False), identity is not None)
        finally:
            # so that `end_training` leaves the tracker to `close`, and each can be started apart from the others
            accelerator.log_with, accelerator.trackers = requested, []
        self.started[name] = adapter

    def _send_missed(self, name: str, adapter: Adapter) -> None:
        """Report the records before the present step that a tracker, which failed earlier, has missed."""
        last, until = self.step, self._until.get(name, 0)
        for record in self.run.metrics.read() if until < last else ():
            self._tokens = record.get("tokens", self._tokens)
            if until < record.get("step", 0) <= last:
                self._send(adapter, record)

    def _send(self, adapter: Adapter, record: dict[str, Any]) -> None:
        step = record["step"]
        values = flat({key: value for key, value in record.items() if key != "step"})
        adapter.metrics({"tokens": self._tokens, **values}, step)
        if adapter.one_axis:
            curves = {key: v for key, v in values.items() if key in DRAWN_BY_TOKENS or key.startswith("validation/")}
            adapter.metrics({f"{BY_TOKENS}/{key}": value for key, value in curves.items()}, self._tokens)

    def _do_all(self, act: Callable[[Adapter], Any]) -> None:
        for name in list(self.started):
            self._do(name, act)

    def _do(self, name: str, act: Callable[[Adapter], None]) -> None:
        """Let one tracker do something; if it fails, training goes on without it."""
        try:
            with redirect_stdout(sys.stderr):
                act(self.started[name])
        except Exception as error:
            del self.started[name]
            self._keep({name: max(self._until.get(name, 0), self.step - 1)})
            say(
                f"the tracker {name} failed after step {self.step} ({_reason(error)}). Training goes on without it; "
                "the next resume sends it the metrics that it missed"
            )

    def _keep(self, until: dict[str, int] | None = None) -> None:
        """Record the runs of all trackers; `until` by name of those that no longer report."""
        runs = dict(self._before)
        for name, adapter in self.started.items():
            if (identity := adapter.identity()) is not None:
                runs[name] = {"identity": identity, "until": None}
        for name, step in (until or {}).items():
            if name in runs:
                runs[name] = {**runs[name], "until": step}
        self._before = runs
        try:
            if runs:
                continued.write(self.run.folder, runs)
        except OSError as error:
            say(f"the runs of the trackers were not recorded, and a resume will begin new ones: {error}")


def refuse_missing(names: Sequence[str]) -> None:
    """Refuse trackers whose packages are not installed; Accelerate would leave them out in silence.

    Raises:
        InputError: naming the first one.
    """
    from accelerate.tracking import get_available_trackers
    from accelerate.utils import LoggerType

    for name in names:
        if name in LoggerType.list() and name not in [str(available) for available in get_available_trackers()]:
            install = f"'ltm-pyro[{name}]'" if name in EXTRAS else f"the package of {name}"
            raise InputError(
                f"the tracker {name} needs a package that is not installed: pip install {install}, or leave it out of "
                "--train.trackers"
            )


def _last_step(run: Run) -> int:
    return max((record.get("step", 0) for record in run.metrics.read()), default=0)


def _reason(error: Exception) -> str:
    """The first line of an error, or its type if it has none."""
    lines = str(error).strip().splitlines()
    return lines[0][:300].rstrip(".") if lines else type(error).__name__
