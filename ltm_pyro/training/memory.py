"""Estimate of the memory that a configuration needs, before any is allocated."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from ltm_pyro.allocation import machine_memory
from ltm_pyro.errors import InputError
from ltm_pyro.training.decoder_settings import is_flat

if TYPE_CHECKING:
    from jsonargparse import Namespace

Shape = tuple[int, int, int]
FLOAT = 4  # bytes
LAYER = 100_000  # bytes of a layer's Python objects, at any width
LARGEST = 2**62  # bytes; larger estimates are not printed
OUT_OF_MEMORY = ("can't allocate memory", "out of memory", "not enough memory", "Storage size calculation overflowed")


def refuse_weights_beyond_memory(config: Namespace, vocabulary: int) -> None:
    """Refuse sizes of a `Decoder` that exceed this machine's memory; other decoders' needs are not known.

    Args:
        config: a run's configuration.
        vocabulary: V.

    Raises:
        InputError: naming the sizes.
    """
    if not is_flat(config.decoder):
        return
    sizes = config.decoder
    width, layers, inner = sizes.width, sizes.layers, sizes.inner or 3 * sizes.width
    per_layer = LAYER + FLOAT * width * (8 * width + 3 * inner + 3)
    thoughts = FLOAT * layers * sizes.thoughts * max(width, config.thought_width or 0)
    length = config.data.length
    _refuse(
        {
            f"the weights (decoder.width {width}, decoder.layers {layers}, {vocabulary} tokens)": layers * per_layer
            + FLOAT * vocabulary * width,
            f"a text's thoughts (decoder.thoughts {sizes.thoughts}, decoder.layers {layers})": thoughts,
            f"a sequence's mask (data.length {length})": 3 * length**2,
        }
    )


def refuse_batch_beyond_memory(config: Namespace) -> None:
    """Refuse batches of a `Decoder` whose thoughts or activations, slice by slice, exceed this machine's memory.

    Raises:
        InputError: naming the sizes.
    """
    if not is_flat(config.decoder):
        return
    sizes, batch = config.decoder, -(-config.train.batch_size // max(1, config.train.accumulate))
    thoughts = FLOAT * 6 * batch * sizes.layers * sizes.thoughts * sizes.width
    tokens = FLOAT * batch * config.data.length * (sizes.width * sizes.layers + 2)
    _refuse(
        {
            f"a batch's posteriors (train.batch_size {config.train.batch_size}, "
            f"decoder.thoughts {sizes.thoughts})": thoughts,
            f"a batch's tokens (train.batch_size {config.train.batch_size}, data.length {config.data.length})": tokens,
        }
    )


def refuse_transport_beyond_memory(transport: Namespace, z_shape: Shape, thought_shape: Shape) -> None:
    """Refuse a transport of the library whose weights exceed this machine's memory.

    The weights of one layer and of two are counted on the meta device, where they take none; all layers are alike.

    Args:
        transport: its class path and arguments.
        z_shape, thought_shape: as its constructor takes them.

    Raises:
        InputError: naming the transport.
    """
    import torch

    module, _, name = transport.class_path.rpartition(".")
    if module.split(".")[0] != "ltm_pyro":
        return
    arguments: dict[str, Any] = vars(transport.get("init_args") or type(transport)())
    with torch.device("meta"):
        make = getattr(import_module(module), name)
        single, double = (make(z_shape, thought_shape, **{**arguments, "layers": layers}) for layers in (1, 2))
    first, both = (sum(weight.numel() for weight in of.parameters()) for of in (single, double))
    layers = arguments.get("layers", 1)
    sizes = " ".join(f"--transport.{key} {value}" for key, value in arguments.items() if value is not None)
    total = FLOAT * (first + (layers - 1) * (both - first)) + LAYER * layers
    _refuse({f"the weights of the transport ({sizes})": total})


def is_out_of_memory(error: BaseException) -> bool:
    """True if an error says that memory could not be allocated."""
    return isinstance(error, MemoryError) or any(words in str(error) for words in OUT_OF_MEMORY)


def _refuse(sizes: dict[str, int]) -> None:
    memory = _memory()
    for part, size in sizes.items():
        if size > memory:
            needed = f"{size / 2**30:,.0f} GiB" if size < LARGEST else "more memory than any machine has"
            machine = f"{memory / 2**30:,.0f} GiB"
            raise InputError(f"{part} would take {needed}, and this machine has {machine}: give smaller sizes")


def _memory() -> int:
    """Memory of the machine in bytes, or of its largest GPU if that is more; `LARGEST` where it is not known."""
    import torch

    memory = machine_memory() or LARGEST
    devices = range(torch.cuda.device_count()) if torch.cuda.is_available() else ()
    return max([memory, *(torch.cuda.get_device_properties(device).total_memory for device in devices)])
