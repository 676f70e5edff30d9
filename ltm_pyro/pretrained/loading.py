"""Loading of pretrained models by transformers, from files that execute nothing."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import nn

from ltm_pyro.allocation import machine_memory
from ltm_pyro.errors import InputError
from ltm_pyro.files.cache_folder import cache_folder
from ltm_pyro.files.new_folder import made_aside
from ltm_pyro.hub_errors import first_line
from ltm_pyro.optional import import_extra
from ltm_pyro.pretrained.source import PretrainedSource

EXTRA = "pretrained"
CONVERTED = "pretrained"  # the folder of converted models in the cache
TOKENIZER = "tokenizer.json"
TOKENIZERS = (TOKENIZER, "*.model", "vocab.*")  # files of a tokenizer, any of which suffices
UNPACKED = 6  # float32 weights are about this many times the size of a GGUF file


def read_config(source: PretrainedSource, argument: str) -> Any:
    """The configuration of a model, as transformers has it.

    Raises:
        InputError: if transformers does not know the model, or is not installed.
    """
    transformers = import_extra("transformers", EXTRA, "a pretrained model")
    folder, options = _place(source, argument)
    with _quiet(transformers), _explained(source, argument):
        return transformers.AutoConfig.from_pretrained(folder, trust_remote_code=False, **options)


def load_model(
    source: PretrainedSource, kind: str, dtype: torch.dtype, argument: str, unused: tuple[str, ...] = ()
) -> nn.Module:
    """A model with its weights, in evaluation mode, on the CPU. torch's random state is unchanged.

    Args:
        source: of the model.
        kind: the class of transformers that loads it, such as `AutoModelForCausalLM`.
        dtype: of the weights.
        argument: what named the model, for messages.
        unused: parts of the model that the caller does not use, whose weights may be missing.

    Raises:
        InputError: if transformers does not know the model, its weights do not fit, or memory is too small.
    """
    transformers = import_extra("transformers", EXTRA, "a pretrained model")
    folder, options = _place(source, argument)
    _refuse_beyond_memory(source, argument)
    with _quiet(transformers), _explained(source, argument), torch.random.fork_rng(devices=[]):
        loader = getattr(transformers, kind)
        if not options:
            options["use_safetensors"] = True
        model, report = loader.from_pretrained(
            folder, dtype=dtype, trust_remote_code=False, output_loading_info=True, **options
        )
    missing = sorted(name for name in report["missing_keys"] if name.split(".")[0] not in unused)
    if missing:
        raise InputError(
            f"{argument} {source.name} lacks weights of a {type(model).__name__} ({missing[0]}, {len(missing)} in "
            "all): it is another kind of model, or damaged"
        )
    loaded: nn.Module = model.eval()
    return loaded


def load_tokenizer(source: PretrainedSource, argument: str) -> Any:
    """The model's own tokenizer, as transformers has it.

    Raises:
        InputError: if it has none that transformers loads without code of its own.
    """
    transformers = import_extra("transformers", EXTRA, "a pretrained model")
    folder, options = _place(source, argument)
    if not options and not any(path for kind in TOKENIZERS for path in Path(folder).glob(kind)):
        raise InputError(  # transformers would make one without words
            f"{argument} {source.name} comes without a tokenizer ({', '.join(TOKENIZERS)}): restore the one that "
            "belongs to the model"
        )
    with _quiet(transformers), _explained(source, argument):
        return transformers.AutoTokenizer.from_pretrained(folder, trust_remote_code=False, **options)


def tokenizer_folder(source: PretrainedSource, argument: str) -> Path:
    """The folder with the model's own `tokenizer.json`, which is made where the model has another form of it.

    Raises:
        InputError: if the model has no tokenizer that could be converted.
    """
    folder, options = _place(source, argument)
    if not options and (Path(folder) / TOKENIZER).is_file():
        return Path(folder)
    raise InputError(
        f"{argument} {source.name} comes without a {TOKENIZER}: give --data.tokenizer PATH/{TOKENIZER}, that of its "
        "training"
    )


def _place(source: PretrainedSource, argument: str) -> tuple[str, dict[str, Any]]:
    """The folder to load from, and the options of transformers; a GGUF file is converted into the cache once."""
    if not source.is_gguf:
        return str(source.folder), {}
    import_extra("gguf", EXTRA, "a .gguf file")
    cache = cache_folder()
    if cache is None:
        return str(source.folder), {"gguf_file": source.weights[0].name}
    folder = cache / CONVERTED / source.sha256
    if not folder.is_dir():
        _convert(source, folder, argument)
    return str(folder), {}


def _convert(source: PretrainedSource, folder: Path, argument: str) -> None:
    """Write a GGUF file's model and tokenizer as transformers saves them, in float32."""
    transformers = import_extra("transformers", EXTRA, "a pretrained model")
    options = {"gguf_file": source.weights[0].name, "trust_remote_code": False}
    with _quiet(transformers), _explained(source, argument), torch.random.fork_rng(devices=[]):
        model = transformers.AutoModelForCausalLM.from_pretrained(source.folder, dtype=torch.float32, **options)
        tokenizer = transformers.AutoTokenizer.from_pretrained(source.folder, **options)
    vars(model.config).pop("quantization_config", None)  # else it counts as quantized, which is not saved
    try:
        with made_aside(folder) as aside, _quiet(transformers):
            _save(model, aside)
            tokenizer.save_pretrained(aside)
    except OSError as error:
        if not folder.is_dir():  # another process may have made it meanwhile
            raise InputError(
                f"{folder}, the converted {source.name}, cannot be written: {error.strerror or error}. Free some "
                "space, or set $LTM_CACHE to another folder"
            ) from error


def _save(model: Any, folder: Path) -> None:
    plain = type(model)(model.config)
    plain.load_state_dict(model.state_dict())
    plain.save_pretrained(folder, safe_serialization=True)


def _refuse_beyond_memory(source: PretrainedSource, argument: str) -> None:
    """Refuse weights that are larger than the machine's memory, judged by their files."""
    memory, stored = machine_memory(), sum(path.stat().st_size for path in source.weights)
    needed = stored * (UNPACKED if source.is_gguf else 1)
    if memory is not None and needed > memory:
        raise InputError(
            f"{argument} {source.name}: its weights take {needed / 2**30:,.0f} GiB, and this machine has "
            f"{memory / 2**30:,.0f} GiB: take a smaller model"
        )


@contextmanager
def _explained(source: PretrainedSource, argument: str) -> Iterator[None]:
    """Context manager that turns errors of transformers, which are of many unrelated types, into InputError."""
    try:
        yield
    except InputError:
        raise
    except Exception as error:
        raise InputError(
            f"{argument} {source.name} cannot be loaded by transformers: {type(error).__name__}: {first_line(error)}. "
            "Give a folder saved by transformers, a .gguf file, or a name on the hub"
        ) from error


@contextmanager
def _quiet(transformers: Any) -> Iterator[None]:
    """Context manager without the progress bars and warnings of transformers."""
    library = transformers.utils.logging
    level = library.get_verbosity()
    library.set_verbosity(logging.CRITICAL)
    try:
        with without_bars(transformers):
            yield
    finally:
        library.set_verbosity(level)


@contextmanager
def without_bars(transformers: Any) -> Iterator[None]:
    """Context manager that disables the progress bars of transformers, and restores their setting."""
    library = transformers.utils.logging
    enabled = library.is_progress_bar_enabled()
    library.disable_progress_bar()
    try:
        yield
    finally:
        if enabled:
            library.enable_progress_bar()
