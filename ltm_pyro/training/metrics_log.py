"""The log of a run: one JSON object per line, in a file that survives kills and resumptions."""

import json
import math
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

from annotated_types import Ge, Gt
from typing_extensions import NotRequired, TypedDict

from ltm_pyro.errors import InputError
from ltm_pyro.files import parse_json, read_bytes, validate
from ltm_pyro.training.state_files import sync

_NOT_JSON = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}
MOST_BYTES = 2**30
LINE_BYTES = 2**20


class _Numbers(TypedDict, total=False):
    elbo: float | None
    log_likelihood: float | None
    kl: float | None
    kl_per_layer: list[float] | None


class _Step(_Numbers):
    step: Annotated[int, Ge(0)]
    tokens: Annotated[int, Ge(0)]
    tokens_per_second: Annotated[float, Gt(0)]


class _Validation(TypedDict):
    step: Annotated[int, Ge(0)]
    validation: _Numbers


class _Other(TypedDict):
    step: NotRequired[float]
    tokens: NotRequired[Annotated[int, Ge(0)]]


class MetricsLog:
    """An append-only log, `metrics.jsonl`.

    Floats keep every bit. NaN and infinities, which JSON does not have, are written as the strings "NaN",
    "Infinity" and "-Infinity", so that every reader of JSON reads the file; `read` returns them as floats.
    """

    def __init__(self, path: Path | str) -> None:
        self.path = Path(path)

    def append(self, record: Mapping[str, Any]) -> None:
        """Append one record as a complete line, which is kept if the process is killed.

        Raises:
            InputError: if the file cannot be written.
            TypeError: for a value JSON cannot hold, such as a tensor, naming its key.
        """
        line = json.dumps(_encode(record, "record"), allow_nan=False) + "\n"
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with self.path.open("ab") as file:  # closing the file passes the line to the operating system
                file.write(line.encode())
        except OSError as error:
            raise self._unwritable(error) from error

    def read(self) -> list[dict[str, Any]]:
        """All complete records; an incomplete last line, left by a kill, is skipped.

        Raises:
            InputError: for any other line that is no record, naming it.
        """
        return [record for _, record in self._lines()]

    def truncate_after(self, step: int) -> None:
        """Remove the records of later steps, and an incomplete last line, before a run is resumed from `step`.

        The resumed run writes those records again, so that its file equals that of a run that was never interrupted.
        Records without a "step" are kept. A kill meanwhile leaves the old file or the new one.
        """
        if not self.path.exists():
            return
        lines = [line for line, record in self._lines() if not _is_after(record, step)]
        partial = self.path.with_name(f".{self.path.name}.partial")
        try:
            partial.write_bytes(b"".join(lines))
            sync(partial)
            os.replace(partial, self.path)
            sync(self.path.parent)
        except OSError as error:
            raise self._unwritable(error) from error

    def _lines(self) -> list[tuple[bytes, dict[str, Any]]]:
        """The bytes and the record of each complete line."""
        if not self.path.exists():
            return []
        lines = read_bytes(self.path, MOST_BYTES).splitlines(keepends=True)
        records = []
        for number, line in enumerate(lines, start=1):
            where, remedy = f"{self.path}, line {number}", "Delete that line, or move the file away"
            try:
                record = _parse(line, where, remedy)
            except InputError:
                if number < len(lines):
                    raise
                continue  # an incomplete last line, left by a kill
            shape = _Validation if "validation" in record else _Step if "tokens_per_second" in record else _Other
            records.append((line.rstrip(b"\r\n") + b"\n", validate(_decode(record), shape, where, remedy)))
        return records

    def _unwritable(self, error: OSError) -> InputError:
        return InputError(
            f"{self.path} cannot be written: {error.strerror}. Free some space or make the folder writable, "
            "then resume the run."
        )


def _parse(line: bytes, where: str, remedy: str) -> dict[str, Any]:
    if len(line) > LINE_BYTES:
        raise InputError(f"{where} cannot be read: it has more than {LINE_BYTES:,} bytes. {remedy}")
    return validate(parse_json(line, where, remedy), dict[str, Any], where, remedy)


def _is_after(record: Mapping[str, Any], step: int) -> bool:
    return isinstance(record.get("step"), int | float) and record["step"] > step


def _encode(value: Any, where: str) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _encode(item, f"{where}[{key!r}]") for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_encode(item, f"{where}[{i}]") for i, item in enumerate(value)]
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    if value is None or isinstance(value, str | bool | int | float):
        return value
    raise TypeError(
        f"{where} is a {type(value).__name__}, which JSON does not have; give a number, for a tensor .item()."
    )


def _decode(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _decode(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_decode(item) for item in value]
    return _NOT_JSON.get(value, value) if isinstance(value, str) else value
