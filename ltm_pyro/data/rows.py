"""Reading of table rows with several fields, such as questions with their answers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from ltm_pyro.data.fields import NoFieldError, as_text, find_field
from ltm_pyro.data.files import find_files
from ltm_pyro.data.hub import PREFIX, ROWS, load_hub, parse_hub_name
from ltm_pyro.data.readers import READERS, read_json_lines, read_plain
from ltm_pyro.data.remarks import Remarks
from ltm_pyro.errors import InputError


def read_rows(source: str, fields: Sequence[str]) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Every row of a table: its place, and the text of each field, empty if the row has none.

    Args:
        source: a file or a folder of files with named fields, or `hf:NAME:CONFIG:SPLIT`.
        fields: their names.

    Raises:
        InputError: if the table cannot be read, or lacks a field.
    """
    if source.startswith(PREFIX):
        yield from _of_hub(source, fields)
        return
    for file in find_files(Path(source).expanduser()):
        reader = READERS[file.suffix.lower()]
        if reader is read_plain:
            raise InputError(
                f"{file} is plain text; expected a file with the fields {', '.join(fields)}, such as .jsonl"
            )
        kind = "line" if reader is read_json_lines else "row"
        try:
            # One pass per field: each pass yields an entry for every row, empty ones too, so that they stay aligned.
            for entries in zip(*(reader(file, field, Remarks()) for field in fields), strict=True):
                yield f"{file}, {kind} {entries[0][0].removeprefix(':')}", tuple(text for _, text in entries)
        except NoFieldError as error:
            raise InputError(f"{error.found} Each row needs {' and '.join(map(repr, fields))}") from error


def _of_hub(source: str, fields: Sequence[str]) -> Iterator[tuple[str, tuple[str, ...]]]:
    dataset = parse_hub_name(source)
    rows = load_hub(dataset)
    columns: dict[str, dict[str, str]] = {name: {} for name in rows.column_names}
    names = [find_field(columns, field, f"the data set {dataset}")[0] for field in fields]
    for row, record in enumerate(
        dict(zip(names, values, strict=True))
        for group in rows.select_columns(names).iter(batch_size=ROWS)
        for values in zip(*(group[name] for name in names), strict=True)
    ):
        place = f"{dataset}, row {row}"
        yield place, tuple(as_text(record[name], f"{place}, field {name!r}") for name in names)
