"""The folder of a comparison: settings, records, tables and figures."""

from __future__ import annotations

import hashlib
import json
import math
import platform
import subprocess
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from typing_extensions import NotRequired, TypedDict

from ltm_pyro.errors import InputError
from ltm_pyro.files import read_json, refuse_links, write_text
from ltm_pyro.runs.console import say, show
from ltm_pyro.runs.keeping import NotKeptError, reason_of
from ltm_pyro.runs.progress import Progress
from ltm_pyro.training.removed_arguments import as_now
from ltm_pyro.version import __version__

SETTINGS, RESULTS = "settings.json", "results.json"
RENAMED = {"sequences": "limit"}  # settings that had another name in an earlier version


class Settings(TypedDict):
    """The content of a comparison's `settings.json`."""

    settings: dict[str, Any]
    variants: NotRequired[dict[str, dict[str, Any]]]


class Results(TypedDict):
    """The content of `results.json`: records by the piece of work that made them."""

    pieces: dict[str, list[dict[str, Any]]]


class ComparisonFolder:
    """A comparison's folder: settings.json, results.json (records by piece of work), table.md, records.csv, figures.

    A file that cannot be written once the work has begun is reported and does not stop the work: the results are
    still shown.

    Args:
        path: the folder; made if it does not exist.
        settings: everything that the numbers depend on, seeds included.
        chosen: True if the user can give another folder by --out. If not, as in a run that is read-only, the results
            are shown and not saved.

    Raises:
        InputError: if the folder cannot be made, and the user can give another.
    """

    def __init__(self, path: Path, settings: Mapping[str, Any], chosen: bool = True) -> None:
        self.path, self.chosen = path, chosen
        self.settings = json.loads(json.dumps(settings, default=str))
        self.unwritten: dict[str, str] = {}  # reason by file
        try:
            path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            if chosen:
                raise InputError(f"{path} cannot be made: {error.strerror or error}. Give a folder by --out") from error
        if path.is_dir():
            refuse_links(path)

    @classmethod
    def named(
        cls, path: Path, settings: Mapping[str, Any], before: Path | None = None, chosen: bool = True
    ) -> ComparisonFolder:
        """The folder of a comparison by its name, with a hash of the settings if other settings have that name.

        Args:
            path: the folder, named by `result_name`.
            settings: as for the class.
            before: the folder of an earlier version, for a comparison that is resumed.
            chosen: as for the class.
        """
        if before is not None and before.exists() and not path.exists():
            return cls(before, settings, chosen)
        plain = json.loads(json.dumps(settings, default=str))
        if _differing(_settings_in(path), plain):
            digest = hashlib.sha256(json.dumps(plain, sort_keys=True).encode()).hexdigest()
            path = path.with_name(f"{path.name}-{digest[:8]}")
        return cls(path, settings, chosen)

    def begin(self, command: Sequence[str]) -> None:
        """Write settings.json: the command, versions and settings that repeat this comparison.

        Raises:
            InputError: if the folder holds a comparison with other settings, which would be lost, or if it cannot be
                written and the user can give another.
        """
        if changed := _differing(_settings_in(self.path), self.settings):
            raise InputError(
                f"{self.path} holds a comparison with another {', '.join(changed)}, which this one would replace: give "
                "another folder by --out, or move that one away"
            )
        about = {"command": ["ltm", *command], "versions": versions(), "settings": self.settings}
        self.write(SETTINGS, json.dumps(about, indent=2) + "\n")
        self.insist()

    def insist(self) -> None:
        """Raise InputError if settings.json could not be written, and the user can give another folder."""
        if self.chosen and self.unwritten:
            raise InputError(f"{next(iter(self.unwritten.values()))}. Give a folder by --out")

    def discard_unless_begun(self) -> None:
        """Remove settings.json and the folder if nothing else is in it."""
        with suppress(OSError):
            if [path.name for path in self.path.iterdir()] == [SETTINGS]:
                (self.path / SETTINGS).unlink()
                self.path.rmdir()

    def done(self) -> dict[str, list[dict[str, Any]]]:
        """The finished pieces of an interrupted comparison with these settings.

        Raises:
            InputError: if there is no such comparison, or it had other settings.
        """
        try:
            before = _as_now(read_json(self.path / SETTINGS, Settings)["settings"])
            pieces = read_json(self.path / RESULTS, Results)["pieces"]
        except (InputError, KeyError) as error:
            raise InputError(f"{self.path} holds nothing to resume ({error}): leave out --resume") from error
        self._refuse(before)
        return {name: [_read(record) for record in piece] for name, piece in pieces.items()}

    def refuse_other_settings(self) -> None:
        """Raise InputError if the folder holds a comparison that was begun with other settings."""
        self._refuse(_settings_in(self.path))

    def _refuse(self, before: Mapping[str, Any] | None) -> None:
        if changed := _differing(before, self.settings):
            raise InputError(
                f"{self.path} was begun with another {', '.join(changed)}: give the settings that it was begun with, "
                f"which are in {self.path / SETTINGS}, or leave out --resume"
            )

    def with_variants(self, variants: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
        """The variants of this comparison by name, together with those of its earlier calls.

        Raises:
            InputError: if a variant had the same name and other settings before.
        """
        before = _variants_in(self.path)
        now = json.loads(json.dumps(variants))
        for name, change in now.items():
            if name in before and before[name] != change:
                raise InputError(
                    f"{self.path} holds another {name} ({_short(before[name])}, now {_short(change)}): give it another "
                    "name, or choose another --out"
                )
        return {**before, **now}

    def others(self, names: Iterable[str]) -> dict[str, list[dict[str, Any]]]:
        """The finished pieces of a comparison with these settings, without those named; empty if there is none."""
        if _settings_in(self.path) is None or not (self.path / RESULTS).is_file():
            return {}
        excluded = set(names)
        return {name: piece for name, piece in self.done().items() if name not in excluded}

    def keep(self, pieces: Mapping[str, list[dict[str, Any]]]) -> None:
        """Write the records so far to results.json, atomically."""
        with self.noted(RESULTS):
            write_text(self.path / RESULTS, json.dumps(as_content(pieces), indent=1, allow_nan=False) + "\n")

    def listener(self, pieces: Mapping[str, list[dict[str, Any]]]) -> Callable[[str, int, int], None]:
        """A callback that shows a comparison's progress and saves the finished pieces.

        Args:
            pieces: those of the comparison, which fill while it runs.

        Returns:
            A function of the next piece's name ("" at the end), the number of finished pieces and their total number.
        """
        progress: list[Progress] = []

        def listen(name: str, done: int, total: int) -> None:
            if not progress:
                progress.append(Progress(total, done))
            elif done:
                self.keep(pieces)
            if name:
                progress[0].update(done, name)
            else:
                progress[0].clear()

        return listen

    def finish(self, table: str, records: Sequence[dict[str, Any]], draw: Callable[[], Sequence[str]]) -> None:
        """Write and show a comparison's results, complete or interrupted.

        Args:
            table: as Markdown.
            records: for records.csv.
            draw: draws the figures into the folder; returns their names.

        Raises:
            NotKeptError: if a file could not be written.
        """
        from ltm_pyro.tables import to_csv

        show(table)
        self.write("table.md", table + "\n")
        self.write("records.csv", to_csv(records))
        names: Sequence[str] = []
        with self.noted("the figures"):
            names = draw()
        self.refuse_unwritten()
        say(f"\nSaved in {self.path}: {', '.join(['table.md', 'records.csv', RESULTS, SETTINGS, *names])}")

    def write(self, name: str, text: str) -> Path:
        """Write a text file and return its path; a failure is reported, not raised."""
        with self.noted(name):
            write_text(self.path / name, text)
        return self.path / name

    def refuse_unwritten(self) -> None:
        """Raise NotKeptError if a file could not be written, and was not written later."""
        for reason in self.unwritten.values():
            raise NotKeptError(f"{reason}. The results are shown above, but not saved")

    @contextmanager
    def noted(self, name: str) -> Iterator[None]:
        """Context manager for writing a file: a failure is recorded, the first one is reported, and none is raised."""
        try:
            yield
        except (InputError, OSError) as error:
            first = not self.unwritten
            self.unwritten[name] = reason_of(error)
            if first:
                say(f"{reason_of(error)}. The results will be shown, and saved only if a later attempt succeeds")
        else:
            self.unwritten.pop(name, None)


def as_content(pieces: Mapping[str, list[dict[str, Any]]]) -> dict[str, Any]:
    """The content of results.json: the records, with NaN and infinities as text."""
    return {"pieces": {name: [_plain(record) for record in piece] for name, piece in pieces.items()}}


def versions() -> dict[str, str]:
    """Versions of the software, and the machine, that made the numbers."""
    import numpy as np
    import pyro
    import torch

    return {
        "ltm_pyro": __version__,
        "torch": torch.__version__,
        "pyro": pyro.__version__,
        "numpy": np.__version__,
        "python": platform.python_version(),
        "machine": f"{platform.system()} {platform.machine()}, {torch.get_num_threads()} threads",
    }


def commit() -> str | None:
    """The git commit of the current folder; None if there is none."""
    try:
        process = subprocess.run(["git", "rev-parse", "HEAD"], capture_output=True, text=True, timeout=10, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return process.stdout.strip() or None


def _settings_in(path: Path) -> dict[str, Any] | None:
    """The settings of the comparison in a folder; None if there are none that can be read."""
    try:
        return _as_now(read_json(path / SETTINGS, Settings)["settings"])
    except InputError:
        return None


def _as_now(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Settings of an earlier version by their present names, without removed arguments that had no effect."""
    now = {RENAMED.get(name, name): value for name, value in settings.items()}
    return {**now, "base": as_now(now["base"])} if isinstance(now.get("base"), dict) else now


def _variants_in(path: Path) -> dict[str, dict[str, Any]]:
    try:
        return read_json(path / SETTINGS, Settings).get("variants", {})
    except InputError:
        return {}


def _differing(before: Mapping[str, Any] | None, now: Mapping[str, Any]) -> list[str]:
    """The settings in which two comparisons differ, by path; empty if there was no earlier comparison."""
    return [] if before is None else list(_unlike(before, now))


def _unlike(before: Mapping[str, Any], now: Mapping[str, Any], within: str = "") -> Iterator[str]:
    for key in {**before, **now}:
        old, new = before.get(key), now.get(key)
        if isinstance(old, dict) and isinstance(new, dict):
            yield from _unlike(old, new, f"{within}{key}.")
        elif not _alike(key, old, new):
            yield f"{within}{key} ({_short(old)}, now {_short(new)})"


def _alike(key: str, before: Any, now: Any) -> bool:
    """True if a setting is unchanged; a run named by another path is unchanged."""
    if key == "run" and isinstance(before, str) and isinstance(now, str):
        return Path(before).resolve() == Path(now).resolve()
    return bool(before == now)


def _short(value: Any, most: int = 40) -> str:
    text = json.dumps(value)
    return text if len(text) <= most else text[: most - 3] + "..."


def _plain(value: Any) -> Any:
    """A plain value with NaN and infinities as text."""
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_plain(item) for item in value]
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value


def _read(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _read(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_read(item) for item in value]
    return float(value) if value in ("nan", "inf", "-inf") else value
