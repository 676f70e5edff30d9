"""Import of weights from the paper authors' code into a `Decoder` of this library."""

from __future__ import annotations

import re
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from ltm_pyro.errors import InputError
from ltm_pyro.files import open_regular
from ltm_pyro.models.decoder import Decoder
from ltm_pyro.models.decoder.block import EPSILON

# Their names to ours, applied in this order. torch.compile and DDP leave their prefixes anywhere in a name.
RENAMES = (
    (r"(?:^|(?<=\.))(?:module|_orig_mod)\.", ""),
    (r"^(?:tok_embeddings|output)\.weight$", "embedding.weight"),  # tied
    (r"^layers\.", "blocks."),
    (r"\.attention_norm\.", ".norm_1."),
    (r"\.cross_attention_norm\.", ".norm_2."),
    (r"\.ffn_norm\.", ".norm_3."),
    (r"\.attention\.", ".self_attention."),
    (r"\.wq\.", ".query."),
    (r"\.wk\.", ".key."),
    (r"\.wv\.", ".value."),
    (r"\.wo\.", ".output."),
    (r"\.(?:w1|gate_proj)\.", ".gate."),
    (r"\.(?:w2|down_proj)\.", ".down."),
    (r"\.(?:w3|up_proj)\.", ".up."),
)
BUFFERS = re.compile(r"(?:^|\.)(?:freqs_(?:cos|sin)(?:_z)?|(?:attn_)?mask)$")  # computed from the sizes, not learned
ATTENTION = ("wq", "wk", "wv", "wo")
LAYER = (  # the modules of a layer, by the authors' names
    *("attention_norm", "cross_attention_norm", "ffn_norm"),
    *(f"attention.{part}" for part in ATTENTION),
    *(f"cross_attention.{part}" for part in ATTENTION),
    *(f"feed_forward.{part}" for part in ("w1", "w2", "w3")),
)
HINTS = ("dim", "n_layers", "n_heads", "vocab_size", "max_seq_len", "window_size", "max_z_len")
FIXED = {"norm_eps": EPSILON, "use_z_pos_emb": True}  # settings of the authors' models that a `Decoder` fixes
OPTIONS = {  # sizes that the weights do not show: the authors' name, and the value in the paper
    "heads": ("n_heads", "8"),
    "thoughts": ("max_z_len", "N_z = 24, or 96 for the large one, divided by the number of layers"),
    "window": ("window_size", "256"),
    "length": ("max_seq_len", "1024"),
}


class AuthorsCheckpoint(NamedTuple):
    """A checkpoint of the authors' code: its weights and the sizes it states, by the authors' names."""

    weights: dict[str, Tensor]
    sizes: dict[str, int]


def decoder_from_authors(
    path: str | Path,
    heads: int | None = None,
    thoughts: int | None = None,
    window: int | None = None,
    length: int | None = None,
    bos_id: int | None = None,
) -> Decoder:
    """Build a decoder with the weights of a file that the authors' code saved.

    Vocabulary, width, layers and the feed-forward's inner width are read from the weights. The other sizes cannot be
    read from them: each is taken from the argument, else from the file's `model_args` or `config`. They must be
    those of training, or the decoder computes something else without any error; the positions of the thoughts
    follow from `length` and `thoughts`. The sizes can be read off the decoder: `vocabulary`, `z_shape`, `window`,
    `length`, `bos_id`, and, of `blocks[0]`, `self_attention.heads` and the feed-forward.

    Args:
        path: a PyTorch file with a state dict, alone or under "model"; read without running any code in it.
        heads: H; the paper's models have 8.
        thoughts: K, thought vectors per layer; the paper's N_z (24, or 96) counts those of all layers.
        window: number of the latest tokens, the current one included, that a token attends to; 256 in the paper.
        length: T, the longest sequence; 1024 in the paper.
        bos_id: the token id before a text; the last one of the vocabulary if None.

    Returns:
        A decoder in float32, on the CPU.

    Raises:
        InputError: if the file cannot be read, fails its checksums, is of another model, does not determine a size,
            or holds a NaN or an infinity.
    """
    checkpoint = read_authors_checkpoint(path)
    arguments = {"heads": heads, "thoughts": thoughts, "window": window, "length": length}
    try:
        _refuse_non_finite({name: weight for name, weight in checkpoint.weights.items() if not BUFFERS.search(name)})
        weights = convert(checkpoint.weights)
        sizes = _sizes(weights, checkpoint.sizes, arguments)
        decoder = Decoder(**sizes, bos_id=sizes["vocabulary"] - 1 if bos_id is None else bos_id)
        _check_shapes(weights, decoder.state_dict())
    except InputError as error:
        raise InputError(f"{path}: {error}") from error
    decoder.load_state_dict(weights)
    return decoder


def read_authors_checkpoint(path: str | Path) -> AuthorsCheckpoint:
    """Read a PyTorch file: a state dict, or a dict with one under "model" beside optimizer, settings and so on.

    Args:
        path: the file. It is read with `weights_only=True`, so that no code in it is run.

    Returns:
        The weights, under the file's own names, and the sizes of `HINTS` in its `model_args` or `config`.

    Raises:
        InputError: if there is no such file, it cannot be read so, it holds no weights, or its model has a setting
            that a `Decoder` does not support.
    """
    content = _load(Path(path))
    weights = content.get("model", content) if isinstance(content, Mapping) else content
    if not _is_state_dict(weights):
        keys = f"a dict of {sorted(map(str, content))}" if isinstance(content, Mapping) else type(content).__name__
        raise InputError(
            f"{path} holds no weights by name, but {keys}: expected a state dict, alone or under 'model'. "
            "Resave the state dict alone, with torch.save(model.state_dict(), FILE)."
        )
    stated = _stated(content)
    for name, value in FIXED.items():
        if stated.get(name, value) != value:
            raise InputError(f"{path}: its model has {name}={stated[name]}, but a Decoder always has {name}={value}")
    return AuthorsCheckpoint(dict(weights), {name: stated[name] for name in HINTS if type(stated.get(name)) is int})


def convert(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The state dict of a `Decoder`, from weights under the authors' names.

    Args:
        weights: by name, with any prefixes of torch.compile and DDP. Masks and rotary tables are dropped.

    Raises:
        InputError: if a weight is missing or unexpected, or tied embeddings differ.
    """
    source: dict[str, str] = {}  # our name: theirs
    for name in weights:
        if BUFFERS.search(name):
            continue
        first = source.setdefault(_rename(name), name)
        if not _same(weights[first], weights[name]):
            raise InputError(
                f"{first} and {name} differ, but a Decoder ties its input and output embeddings: remove the one that "
                "was not trained from the file, if there is one"
            )
    _check_names(source)
    return {ours: weights[theirs] for ours, theirs in source.items()}


def has_checksums(path: str | Path) -> bool:
    """True if a PyTorch file has checksums, which detect damaged bytes; files from before PyTorch 1.6 have none."""
    return zipfile.is_zipfile(path)


def _refuse_damaged(path: Path) -> None:
    """Check every part of a file against its checksum, which PyTorch writes but does not check."""
    if not has_checksums(path):
        return
    try:
        with zipfile.ZipFile(path) as parts:
            packed = [part.filename for part in parts.infolist() if part.compress_type != zipfile.ZIP_STORED]
            bad = None if packed else parts.testzip()
    except (zipfile.BadZipFile, EOFError, OSError, ValueError, NotImplementedError, RuntimeError) as error:
        raise InputError(f"{path} is damaged: {error}. Take another copy") from error
    if packed:
        raise InputError(
            f"{path}: {packed[0]} in it is compressed, as torch.save never does. Resave the state dict alone"
        )
    if bad:
        raise InputError(
            f"{path} is damaged: the checksum of {bad} in it is wrong. Take another copy, or, if it was saved "
            "without checksums (torch.serialization.set_crc32_options), resave it with them"
        )


def _refuse_non_finite(weights: Mapping[str, Tensor]) -> None:
    for name, weight in weights.items():
        if weight.is_floating_point() and (count := int((~torch.isfinite(weight)).sum())):
            raise InputError(
                f"{name} holds {count:,} numbers of {weight.numel():,} that are not finite (NaN or infinite): its "
                "training diverged, or the file is damaged. Import an earlier checkpoint, or another copy"
            )


def _load(path: Path) -> Any:
    with open_regular(path, remedy="Give a weights file", follow=True):
        pass
    _refuse_damaged(path)
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror or error}. Give a weights file.") from error
    except Exception as error:  # a file of another kind fails in the unpickler with almost any exception
        code = re.search(r"GLOBAL (\S+)", str(error))
        reason = f"it needs the code of {code[1]}" if code else f"no file of torch.save, or damaged: {error!r:.80}"
        raise InputError(
            f"{path} cannot be opened as tensors and plain values alone ({reason}). Anything more is refused "
            "(weights_only=True), since a pickle can run any code. With the program that wrote the file, resave the "
            "state dict alone: torch.save(model.state_dict(), FILE)."
        ) from error


def _is_state_dict(value: Any) -> bool:
    return isinstance(value, Mapping) and all(type(k) is str and isinstance(v, Tensor) for k, v in value.items())


def _stated(content: Mapping) -> dict[str, Any]:
    """The sizes in the file; `model_args`, with which the model was built, override `config`, the requested ones."""
    tables = (content.get(name) for name in ("config", "model_args"))
    return {key: value for table in tables if isinstance(table, Mapping) for key, value in table.items()}


def _rename(name: str) -> str:
    for pattern, replacement in RENAMES:
        name = re.sub(pattern, replacement, name)
    return name


def _same(first: Tensor, second: Tensor) -> bool:
    return first is second or (first.shape == second.shape and torch.equal(first.float(), second.float()))


def _layers(names: Mapping[str, Any]) -> int:
    """Number of layers, L, in weights under our names."""
    return len({match[1] for name in names if (match := re.match(r"blocks\.([0-9]+)\.", name))})


def _check_names(source: Mapping[str, str]) -> None:
    """Refuse weights, as our names to the authors', that are not exactly those of a decoder."""
    layers = range(max(1, _layers(source)))
    theirs = ["tok_embeddings", *(f"layers.{i}.{part}" for i in layers for part in LAYER), "norm"]
    expected = {_rename(f"{name}.weight"): f"{name}.weight" for name in theirs}
    missing = [name for ours, name in expected.items() if ours not in source]
    unexpected = [name for ours, name in source.items() if ours not in expected]
    if missing or unexpected:
        raise InputError(
            "these are not the weights of the authors' decoder with a cross-attention to thoughts in every layer. "
            f"Missing: {', '.join(missing) or 'none'}. Unexpected: {', '.join(unexpected) or 'none'}. "
            "Save the state dict of that decoder alone."
        )


def _sizes(weights: Mapping[str, Tensor], stated: Mapping[str, int], given: Mapping[str, int | None]) -> dict[str, Any]:
    """The arguments of `Decoder` except `bos_id`, from the weights, the caller's arguments and the file."""
    if weights["embedding.weight"].dim() != 2:
        raise InputError(f"tok_embeddings.weight has shape {tuple(weights['embedding.weight'].shape)}, expected (V, D)")
    vocabulary, width = weights["embedding.weight"].shape
    layers = _layers(weights)
    for name, size in {"vocab_size": vocabulary, "dim": width, "n_layers": layers}.items():
        if stated.get(name, size) != size:
            raise InputError(
                f"it states {name}={stated[name]}, but its weights have {size}: the file is incomplete or mixed. "
                "Take another copy, or resave the state dict alone if its weights are right"
            )
    inner = sum(weights["blocks.0.feed_forward.gate.weight"].shape[:1])  # 0 for a scalar
    if not inner:
        raise InputError("layers.0.feed_forward.w1.weight (or gate_proj) has no rows, expected (inner width, D)")
    sizes = {"vocabulary": vocabulary, "width": width, "layers": layers, "inner": inner}
    return {**sizes, **_options(stated, given, layers)}


def _options(stated: Mapping[str, int], given: Mapping[str, int | None], layers: int) -> dict[str, int]:
    """The sizes that cannot be read from the weights."""
    sizes: dict[str, int] = {}
    for name, (hint, _) in OPTIONS.items():
        value = given[name]
        if value is None and hint in stated:
            value = _per_layer(stated[hint], layers) if name == "thoughts" else stated[hint]
        if value is not None:
            sizes[name] = value
    if unknown := [f"{name} (the paper's: {paper})" for name, (_, paper) in OPTIONS.items() if name not in sizes]:
        raise InputError(f"neither its weights nor its settings determine {', '.join(unknown)}: give its own")
    if sizes["thoughts"] < 1:
        raise InputError(f"thoughts={sizes['thoughts']}: its model attends to thoughts in every layer; give at least 1")
    return sizes


def _per_layer(total: int, layers: int) -> int:
    if total % layers:
        raise InputError(
            f"it states max_z_len={total} thoughts of all layers, which is no multiple of its {layers} layers: "
            "give thoughts, their number per layer"
        )
    return total // layers


def _check_shapes(weights: Mapping[str, Tensor], ours: Mapping[str, Tensor]) -> None:
    wrong = [
        f"{name} is {tuple(weights[name].shape)} of {weights[name].dtype}, expected {tuple(tensor.shape)} of floats"
        for name, tensor in ours.items()
        if weights[name].shape != tensor.shape or not weights[name].is_floating_point()
    ]
    if wrong:
        raise InputError(f"these weights do not fit a Decoder, which has no options for them: {'; '.join(wrong)}")
