"""Remarks for the user on how files were read."""

from __future__ import annotations


class Remarks:
    """Remarks on files; one that is true of many files is said once, with the number of files."""

    def __init__(self) -> None:
        self._files: dict[str, dict[str, None]] = {}

    def add(self, file: object, remark: str) -> None:
        """Take note of one more file for which a remark is true."""
        self._files.setdefault(remark, {})[str(file)] = None

    def add_if(self, file: object, remark: str | None) -> None:
        """`add`, if there is anything to say."""
        if remark is not None:
            self.add(file, remark)

    def lines(self) -> list[str]:
        """A sentence for each remark: the first file, how many more there are, and what was done."""
        return [
            f"{next(iter(files))}{f' and {len(files) - 1} more' if len(files) > 1 else ''}: {remark}"
            for remark, files in self._files.items()
        ]
