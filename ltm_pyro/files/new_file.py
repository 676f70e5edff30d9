"""Files that replace no other: written beside their final name, which they take only if it is free."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from ltm_pyro.errors import InputError


def refuse_taken(path: Path, kinds: tuple[str, ...], option: str) -> None:
    """Raise InputError unless a new file of one of these kinds can be written at the path.

    Args:
        path: of the file to come.
        kinds: suffixes, such as `.csv`.
        option: the argument that named the path, for the message.
    """
    if path.suffix not in kinds:
        raise InputError(f"{option} {path}: expected a name that ends in {' or '.join(kinds)}")
    if os.path.lexists(path):
        raise InputError(f"{path} exists, and is not overwritten: give another name by {option}")
    if not path.parent.is_dir():
        raise InputError(f"{option} {path}: there is no folder {path.parent}. Make it, or give another name")


@contextmanager
def new_file(path: Path) -> Iterator[Path]:
    """Context manager with a temporary path to be written, which gets its final name at the end.

    A file that another process has made meanwhile is kept, and an interrupted writer leaves nothing.

    Raises:
        InputError: if the path has been taken meanwhile, or cannot be written.
    """
    temporary = path.with_name(f".{secrets.token_hex(8)}.part{path.suffix}")
    try:
        yield temporary
        try:
            os.link(temporary, path)  # fails if the name is taken, as a rename would not
        except FileExistsError:
            raise
        except OSError:  # a file system without links
            if os.path.lexists(path):
                raise FileExistsError(path) from None
            os.rename(temporary, path)
    except FileExistsError as error:
        raise InputError(f"{path} was made by another process meanwhile, and is not overwritten") from error
    except OSError as error:
        raise InputError(
            f"{path} cannot be written: {error.strerror or error}. Free some space, or give another folder"
        ) from error
    finally:
        with suppress(OSError):
            temporary.unlink()
