"""Messages for the user about how files were read."""

from __future__ import annotations


class Remarks:
    """Messages about files; one that applies to several files is given once, with their number."""

    def __init__(self) -> None:
        self._files: dict[str, dict[str, None]] = {}

    def add(self, file: object, remark: str) -> None:
        """Add a file to which a remark applies."""
        self._files.setdefault(remark, {})[str(file)] = None

    def add_if(self, file: object, remark: str | None) -> None:
        """Add a file to which a remark applies, unless the remark is None."""
        if remark is not None:
            self.add(file, remark)

    def lines(self) -> list[str]:
        """One line for each remark: the first file, the number of further files, and the remark."""
        return [
            f"{next(iter(files))}{f' and {len(files) - 1} more' if len(files) > 1 else ''}: {remark}"
            for remark, files in self._files.items()
        ]
