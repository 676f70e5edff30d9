"""Loading of an existing tokenizer from a file, a folder or the hub."""

from __future__ import annotations

import difflib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from ltm_pyro.data.hub import PREFIX
from ltm_pyro.data.tokenizer_inspection import inspect_tokenizer
from ltm_pyro.errors import InputError
from ltm_pyro.files import read_text

if TYPE_CHECKING:
    import tokenizers

FILE = "tokenizer.json"
BYTES = 2**27


def load_backend(spec: str, flag: str = "--data.tokenizer") -> tokenizers.Tokenizer:
    """Load a `tokenizers.Tokenizer` from a ``tokenizer.json``, a folder with one, or a name on the hub.

    Raises:
        InputError: if none can be loaded, naming the source that was tried.
    """
    path = Path(spec).expanduser()
    if path.is_dir():
        path = path / FILE
    if path.is_file():
        return _from_file(path)
    if spec.startswith(PREFIX):
        return _from_hub(spec.removeprefix(PREFIX), flag)
    if path.suffix or path.is_absolute() or spec.startswith((".", "~")) or spec.count("/") > 1:
        raise InputError(f"there is no tokenizer file {path}.{_near(path)}")
    return _from_hub(spec, flag)


def _from_file(path: Path) -> tokenizers.Tokenizer:
    from tokenizers import Tokenizer as Backend

    text = read_text(path, BYTES, follow=True)
    inspect_tokenizer(text, str(path))
    try:
        return Backend.from_str(text)
    except BaseException as error:  # the library raises bare Exception, and panics
        if not isinstance(error, Exception) and not is_panic(error):
            raise
        raise InputError(f"{path} does not parse as a tokenizer ({FILE}): {error}") from error


def is_panic(error: BaseException) -> bool:
    """True if an error is a panic of a Rust library, which derives from `BaseException` alone."""
    return type(error).__name__ == "PanicException"


@contextmanager
def answering(what: str) -> Iterator[None]:
    """Context manager that turns an error of the `tokenizers` library into an InputError of one line.

    Args:
        what: the failed action, after "the tokenizer cannot".

    Raises:
        InputError: if the library fails.
    """
    try:
        yield
    except BaseException as error:
        if not isinstance(error, Exception) and not is_panic(error):
            raise
        raise InputError(
            f"the tokenizer cannot {what}: {' '.join(str(error).split())}. Its {FILE} may be damaged: restore it from "
            "a copy, or take another tokenizer"
        ) from error


def _from_hub(name: str, flag: str) -> tokenizers.Tokenizer:
    from tokenizers import Tokenizer as Backend

    try:
        backend = Backend.from_pretrained(name)
    except BaseException as error:  # of many unrelated types
        if not isinstance(error, Exception) and not is_panic(error):
            raise
        reason = str(error).strip().split("\n")[0]
        raise InputError(
            f"tried to load the tokenizer {name} from the Hugging Face hub: {type(error).__name__}: {reason} "
            f"Check the name and the network, or give a file: {flag} PATH/{FILE}"
        ) from error
    inspect_tokenizer(backend.to_str(), name)
    return backend


def _near(path: Path) -> str:
    names = [entry.name for entry in path.parent.iterdir()] if path.parent.is_dir() else []
    near = difflib.get_close_matches(path.name, names, n=3, cutoff=0.5)
    return f" Near names in {path.parent}: {', '.join(near)}" if near else " Check the path"
