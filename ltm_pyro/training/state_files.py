"""Tensors and nested state (optimizers, schedules, random generators) in plain files, without pickle.

`save_state` writes two files: `name.safetensors` holds the tensors, `name.json` everything else, with each
tensor replaced by its name. JSON has no tuples, integer keys, NaN or infinities, so a JSON object always has
exactly one key, which names the type that it encodes: `dict` (a list of pairs), `tuple`, `tensor`, or `float` (bits).
"""

import errno
import json
import math
import os
import re
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor
from typing_extensions import TypedDict

from ltm_pyro.errors import InputError
from ltm_pyro.files import open_regular, parse_json, read_json, validate

_WRITABLE = {
    torch.bool, torch.uint8, torch.uint16, torch.uint32, torch.uint64, torch.int8, torch.int16, torch.int32,
    torch.int64, torch.float16, torch.bfloat16, torch.float32, torch.float64, torch.complex64, torch.complex128,
    torch.float8_e4m3fn, torch.float8_e5m2,
}  # fmt: skip
_BY_NAME = {
    "BOOL": torch.bool, "U8": torch.uint8, "U16": torch.uint16, "U32": torch.uint32, "U64": torch.uint64,
    "I8": torch.int8, "I16": torch.int16, "I32": torch.int32, "I64": torch.int64, "F16": torch.float16,
    "BF16": torch.bfloat16, "F32": torch.float32, "F64": torch.float64, "C64": torch.complex64,
    "F8_E4M3": torch.float8_e4m3fn, "F8_E5M2": torch.float8_e5m2,
}  # fmt: skip
_HEADER_BYTES = 2**24
_SAVED_ANEW = "Restore it, or save it anew"
_NOTES = "ltm_pyro"  # a single metadata entry: safetensors writes several in an order that differs between runs


class TensorHeader(NamedTuple):
    """The header of one tensor in a file; `dtype` is None if torch has no such type."""

    dtype: torch.dtype | None
    shape: tuple[int, ...]

    @property
    def bytes(self) -> int:
        """The size of the tensor's data in bytes."""
        return math.prod(self.shape) * (8 if self.dtype is None else self.dtype.itemsize)


class _Notes(TypedDict, total=False):
    same: dict[str, str]
    complex: list[str]


def save_state(folder: Path, name: str, state: Mapping) -> list[Path]:
    """Write a nested structure of dicts, lists, tuples, tensors and plain values; returns the two paths.

    The round trip is exact: types, key types, order, the bits of every float, dtypes, shapes, and the identity of
    tensors with several names. Tensors are read onto the CPU, contiguous; every kind of mapping is read as `dict`.

    Raises:
        TypeError: for any other value, naming its place in the structure.
    """
    tensors: dict[str, Tensor] = {}
    structure = _encode(state, "state", tensors)
    weights_file, json_file = Path(folder, f"{name}.safetensors"), Path(folder, f"{name}.json")
    write_tensors(weights_file, tensors)
    json_file.write_text(json.dumps(structure, allow_nan=False) + "\n", encoding="utf-8")
    return [weights_file, json_file]


def load_state(folder: Path, name: str) -> dict:
    """Read a structure that `save_state` wrote.

    Raises:
        InputError: if a file is missing or is no state file.
    """
    tensors = read_tensors(Path(folder, f"{name}.safetensors"))
    json_file = Path(folder, f"{name}.json")
    structure = read_json(json_file, dict[str, Any], remedy=_SAVED_ANEW)
    try:
        return validate(_decode(structure, tensors), dict[str | int, Any], str(json_file), _SAVED_ANEW)
    except (ValueError, LookupError, TypeError, AttributeError, struct.error) as error:
        raise InputError(
            f"{json_file} is not a state file, or is damaged ({error!r}); expected the pair {name}.json and "
            f"{name}.safetensors that were saved together. Restore both, or save them anew."
        ) from error


def write_tensors(path: Path, tensors: Mapping[str, Tensor]) -> None:
    """Write tensors by name. A tensor with several names (tied weights) is stored once and is one tensor when read.

    Raises:
        OSError: if the file cannot be written.
        TypeError: for a tensor that cannot be written, naming it.
    """
    plain = {name: _plain(name, tensor) for name, tensor in tensors.items()}
    stored, same = _split_ties(plain)
    notes = {"same": same, "complex": [name for name in stored if stored[name].dtype == torch.complex128]}
    separate = _separate(stored)
    path.touch()  # to learn the usual permissions, since safetensors writes files for their owner only
    mode = path.stat().st_mode
    try:
        save_file(separate, path, metadata={_NOTES: json.dumps(notes)})
    except SafetensorError as error:
        raise _as_os_error(error, path) from error
    path.chmod(mode)


def read_tensors(path: Path) -> dict[str, Tensor]:
    """Read tensors that `write_tensors` wrote, or any safetensors file, onto the CPU.

    Raises:
        InputError: if the file is missing or is no safetensors file.
    """
    _refuse_long_header(path)
    try:
        with safe_open(path, framework="pt", device="cpu") as file:
            notes = _notes(path, file.metadata())
            # Copied out of the memory-mapped file: memory with torch's own alignment gives the same bits in every
            # later sum as in an uninterrupted run, and the file can then be deleted on every system.
            tensors = {name: file.get_tensor(name).clone() for name in file.keys()}  # noqa: SIM118
        tensors |= {name: torch.view_as_complex(tensors[name]) for name in notes.get("complex", [])}
        return tensors | {name: tensors[first] for name, first in notes.get("same", {}).items()}
    except InputError:
        raise
    except (SafetensorError, OSError, ValueError, LookupError, RuntimeError) as error:
        raise InputError(f"{path} cannot be read as safetensors: {error}. {_SAVED_ANEW}.") from error


def read_header(path: Path) -> dict[str, TensorHeader]:
    """Types and shapes of the tensors in a file, by every name; no tensor is read.

    Raises:
        InputError: if the file is missing or is no safetensors file.
    """
    _refuse_long_header(path)
    try:
        with safe_open(path, framework="pt", device="cpu") as file:
            notes = _notes(path, file.metadata())
            slices = {name: file.get_slice(name) for name in file.keys()}  # noqa: SIM118
        header = {name: TensorHeader(_BY_NAME.get(s.get_dtype()), tuple(s.get_shape())) for name, s in slices.items()}
        header |= {name: TensorHeader(torch.complex128, header[name].shape[:-1]) for name in notes.get("complex", [])}
        return header | {name: header[first] for name, first in notes.get("same", {}).items()}
    except InputError:
        raise
    except (SafetensorError, OSError, ValueError, LookupError) as error:
        raise InputError(f"{path} cannot be read as safetensors: {error}. {_SAVED_ANEW}.") from error


def _notes(path: Path, metadata: dict[str, str] | None) -> _Notes:
    where = f"{path}, metadata"
    return validate(parse_json((metadata or {}).get(_NOTES, "{}"), where, _SAVED_ANEW), _Notes, where, _SAVED_ANEW)


def _refuse_long_header(path: Path) -> None:
    """Refuse a path that is no regular file, or a file whose header would be longer than that of any model."""
    with open_regular(path, remedy=_SAVED_ANEW) as file:
        size = int.from_bytes(file.read(8), "little")
    if size > _HEADER_BYTES:
        raise InputError(
            f"{path} cannot be read as safetensors: its header would be {size:,} bytes long, more than "
            f"{_HEADER_BYTES:,}. {_SAVED_ANEW}."
        )


def _encode(value: Any, where: str, tensors: dict[str, Tensor]) -> Any:
    """Encode a value for JSON; its tensors are added to `tensors`, named by their place in the structure."""
    if isinstance(value, Tensor):
        tensors[where] = value
        return {"tensor": where}
    if isinstance(value, Mapping):
        return {"dict": [[_key(k, where), _encode(v, f"{where}[{k!r}]", tensors)] for k, v in value.items()]}
    if type(value) in (list, tuple):
        items = [_encode(item, f"{where}[{i}]", tensors) for i, item in enumerate(value)]
        return items if type(value) is list else {"tuple": items}
    if type(value) is float and value - value != 0.0:  # NaN and infinities, which JSON does not have
        return {"float": struct.pack(">d", value).hex()}
    if value is None or type(value) in (bool, int, float, str):
        return value
    kind = f"{type(value).__module__}.{type(value).__qualname__}"
    raise TypeError(
        f"{where} is a {kind}; only dict, list, tuple, None, bool, int, float, str and tensors can be saved. "
        "Convert it, for example with float(...), tuple(...) or torch.as_tensor(...)."
    )


def _key(key: Any, where: str) -> str | int:
    if type(key) not in (str, int):
        raise TypeError(f"{where} has the key {key!r} of type {type(key).__name__}; keys are str or int.")
    return key


def _decode(value: Any, tensors: dict[str, Tensor]) -> Any:
    if isinstance(value, list):
        return [_decode(item, tensors) for item in value]
    if not isinstance(value, dict):
        return value
    ((kind, content),) = value.items()
    return {
        "dict": lambda: {key: _decode(item, tensors) for key, item in content},
        "tuple": lambda: tuple(_decode(item, tensors) for item in content),
        "tensor": lambda: tensors[content],
        "float": lambda: struct.unpack(">d", bytes.fromhex(content))[0],
    }[kind]()


def _plain(name: str, tensor: Tensor) -> Tensor:
    """The tensor without gradient, conjugate or negative bits; tensors without plain bytes are refused."""
    if not isinstance(tensor, Tensor):
        raise TypeError(f"{name} is a {type(tensor).__name__}; expected a tensor.")
    tensor = tensor.detach()
    if type(tensor) is not Tensor or tensor.layout != torch.strided or tensor.dtype not in _WRITABLE or tensor.is_meta:
        raise TypeError(
            f"{name} is a {type(tensor).__name__} of {tensor.dtype}, {tensor.layout}, on {tensor.device}, which cannot "
            "be saved. Convert it to an ordinary dense tensor first (to_dense(), dequantize(), full_tensor())."
        )
    return tensor.resolve_conj().resolve_neg()


def _split_ties(tensors: Mapping[str, Tensor]) -> tuple[dict[str, Tensor], dict[str, str]]:
    """The distinct tensors by their first names, and the first name for each further name."""
    first: dict[tuple, str] = {}
    same: dict[str, str] = {}
    for name, tensor in tensors.items():
        view = (tensor.device, tensor.data_ptr(), tensor.dtype, tensor.shape, tensor.stride())
        original = first.setdefault(view, name) if tensor.numel() else name
        if original != name:
            same[name] = original
    return {name: tensor for name, tensor in tensors.items() if name not in same}, same


def _separate(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors on the CPU, contiguous and in separate storages, since safetensors refuses overlapping ones."""
    separate: dict[str, Tensor] = {}
    storages: set[int] = set()
    for name, tensor in tensors.items():
        if tensor.dtype == torch.complex128:  # not in the format, so written as pairs of float64
            tensor = torch.view_as_real(tensor)
        tensor = tensor.cpu().contiguous()
        if tensor.untyped_storage().data_ptr() in storages:
            tensor = tensor.clone()
        storages.add(tensor.untyped_storage().data_ptr())
        separate[name] = tensor
    return separate


def _as_os_error(error: SafetensorError, path: Path) -> Exception:
    """The operating system's error within an error of safetensors, which states its number only in its text."""
    match = re.search(r"os error (\d+)", str(error))
    return OSError(int(match[1]), os.strerror(int(match[1])), str(path)) if match else error


def sync(path: Path) -> None:
    """Flush a file's content, or a folder's list of names, to the disk, so that it survives a power failure."""
    if path.is_dir() and os.name == "nt":  # Windows cannot open folders, and flushes their names itself
        return
    handle = os.open(path, os.O_RDONLY if path.is_dir() else os.O_RDWR)
    try:
        os.fsync(handle)
    except OSError as error:  # some network file systems cannot sync a folder
        if not (path.is_dir() and error.errno in (errno.EINVAL, errno.ENOTSUP)):
            raise
    finally:
        os.close(handle)
