"""The source of a pretrained model: its files on this machine, their hash, and the licence that they state."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

from ltm_pyro.errors import InputError
from ltm_pyro.files import read_json, read_text
from ltm_pyro.files.digest import sha256_of
from ltm_pyro.hub_errors import hub_errors_explained
from ltm_pyro.optional import import_extra

HUB = "hf:"
CONFIG, CARD, GGUF = "config.json", "README.md", ".gguf"
ADAPTER = "adapter_config.json"  # of peft: transformers would load the model that it names
KERNELS = ("attn_implementation", "experts_implementation")  # OWNER/NAME as their value is compiled code of the hub
INDICES = "*.safetensors.index.json"
FILES = ("*.safetensors", INDICES, CONFIG, "tokenizer*", "*.model", "vocab*", "merges.txt", CARD)
SETTINGS_BYTES, CARD_BYTES = 2**24, 2**22
UNKNOWN = "unknown"
LICENCE = re.compile(r"license:[ \t]*['\"]?([\w.+-]{1,64})")


class PretrainedSource(NamedTuple):
    """A pretrained model on this machine.

    Attributes:
        name: the name by which it was asked for: of the hub, or an absolute path.
        revision: the commit of the hub; None for a folder or a file.
        folder: the folder of its files.
        weights: the files of its weights: safetensors, or one GGUF file.
    """

    name: str
    revision: str | None
    folder: Path
    weights: tuple[Path, ...]

    @property
    def is_gguf(self) -> bool:
        return self.weights[0].suffix == GGUF

    @property
    def place(self) -> str:
        """The name that finds this model from any folder: an absolute path, or hf:NAME, as a folder may be NAME."""
        return self.name if self.revision is None else HUB + self.name

    @property
    def sha256(self) -> str:
        """SHA-256 of the weights' file; of several files, that of their sums in the order of their names."""
        sums = [_sum_of(str(path), *_state(path)) for path in self.weights]
        return sums[0] if len(sums) == 1 else hashlib.sha256("".join(sums).encode()).hexdigest()

    @property
    def licence(self) -> str:
        """The licence that the model's card or its GGUF file states; `unknown` without one."""
        if self.is_gguf:
            return _licence_of_gguf(self.weights[0])
        try:
            head = read_text(self.folder / CARD, CARD_BYTES, follow=True).partition("\n---")[0]
        except InputError:  # a folder without a card
            return UNKNOWN
        match = LICENCE.search(head) if head.startswith("---") else None
        return match[1] if match else UNKNOWN

    def pinned(self, arguments: Mapping[str, Any], argument: str) -> dict[str, Any]:
        """Constructor arguments that name these weights from any folder and at any time: those that a run records.

        A path is absolute, a revision of the hub is a commit, and the hash of the weights is given.

        Args:
            arguments: with `name`, and perhaps `revision` and `sha256`.
            argument: what names the model, for the message.

        Raises:
            InputError: if the weights have another hash than the arguments say.
        """
        self.require(arguments.get("sha256"), argument)
        return {**arguments, "name": self.place, "revision": self.revision, "sha256": self.sha256}

    def require(self, sha256: str | None, argument: str) -> None:
        """Refuse weights other than the expected ones.

        Args:
            sha256: of the expected weights; None accepts any.
            argument: what names the model, for the message.

        Raises:
            InputError: if the weights have another hash.
        """
        if sha256 is not None and sha256 != self.sha256:
            raise InputError(
                f"{argument} {self.name} has other weights (sha256 {self.sha256[:12]}…) than those that this run was "
                f"trained on (sha256 {sha256[:12]}…): give the place of the original ones, or train anew"
            )


def find_source(
    name: str, revision: str | None = None, argument: str = "--decoder.name", sha256: str | None = None
) -> PretrainedSource:
    """The source of a folder that transformers saved, a `.gguf` file, or a name on the Hugging Face hub.

    Of the hub, only settings, tokenizer and safetensors are fetched: nothing that could be executed.

    Args:
        name: a path, or NAME or hf:NAME on the hub.
        revision: a branch, a tag or a commit on the hub.
        argument: what gave the name, for messages.
        sha256: of the weights that are looked for, for messages.

    Raises:
        InputError: if there is no such model, it has no safetensors, or it needs code of its own.
    """
    if not name:
        raise InputError(
            f"{argument} is missing: give a folder saved by transformers, a .gguf file, or the name of a model on the "
            "Hugging Face hub"
        )
    path = Path(name).expanduser()
    if name.startswith(HUB) or not path.exists():
        if not name.startswith(HUB) and (path.suffix == GGUF or path.is_absolute() or name.startswith((".", "~"))):
            raise InputError(f"{argument} {name}: there is no such file or folder. {_remedy(argument, sha256)}")
        return _of_hub(name.removeprefix(HUB), revision, argument)
    if revision is not None:
        raise InputError(f"{argument} {name} is a path, which has no revision {revision!r}: leave the revision out")
    if path.is_file():
        if path.suffix != GGUF:
            raise InputError(f"{argument} {name}: expected a folder, a .gguf file or a name on the hub")
        return PretrainedSource(str(path.absolute()), None, path.absolute().parent, (path.absolute(),))
    return _of_folder(str(path.absolute()), None, path.absolute(), argument)


def _remedy(argument: str, sha256: str | None) -> str:
    if sha256 is None:
        return "Check the path"
    where = argument.removeprefix("--").rpartition(".")[0]
    return (
        f"The weights of this run have the sha256 {sha256[:12]}…: write their place into its config.yaml, as `name` of "
        f"{where}, or give it to ltm pull by --base"
    )


def _of_hub(name: str, revision: str | None, argument: str) -> PretrainedSource:
    from huggingface_hub import snapshot_download

    with hub_errors_explained(f"{argument} {name} is no folder here, and could not be fetched from the hub"):
        folder = Path(snapshot_download(name, revision=revision, allow_patterns=list(FILES)))
    return _of_folder(name, folder.name, folder, argument)  # a snapshot's folder has the name of its commit


def _of_folder(name: str, revision: str | None, folder: Path, argument: str) -> PretrainedSource:
    converted = sorted(folder.glob(f"*{GGUF}"))
    if not (folder / CONFIG).is_file():
        if len(converted) == 1:
            return PretrainedSource(str(converted[0]), revision, folder, (converted[0],))
        others = f"name one of {', '.join(path.name for path in converted)}" if converted else "check the path"
        raise InputError(f"{argument} {name} has no {CONFIG}, as a folder saved by transformers has: {others}")
    _refuse_own_code(read_json(folder / CONFIG, dict[str, Any], SETTINGS_BYTES, follow=True), name, argument)
    if (folder / ADAPTER).exists():
        raise InputError(
            f"{argument} {name} holds an adapter of peft, {ADAPTER}, which stands on another model: merge both by its "
            "merge_and_unload, and save the result"
        )
    weights = tuple(sorted(folder.glob("*.safetensors")))
    if not weights:
        raise InputError(
            f"{argument} {name} has no weights as .safetensors, and no others are opened, as pickles execute code: "
            "save it again by transformers' save_pretrained"
        )
    for index in folder.glob(INDICES):
        _refuse_files_elsewhere(index, {path.name for path in weights}, f"{argument} {name}")
    return PretrainedSource(name, revision, folder, weights)


def _refuse_files_elsewhere(index: Path, known: set[str], model: str) -> None:
    """Refuse an index of weights that names files which are not part of the model's hash."""
    content = read_json(index, dict[str, Any], SETTINGS_BYTES, follow=True)
    places = content.get("weight_map")
    files = set(map(str, places.values())) if isinstance(places, dict) else set()
    if others := sorted(files - known):
        raise InputError(f"{model}: its {index.name} names {others[0]}, which is no .safetensors of that folder")


def _refuse_own_code(settings: Mapping[str, Any], name: str, argument: str) -> None:
    kernels = [str(value) for key, value in settings.items() if key.lstrip("_").startswith(KERNELS) and value]
    if any("/" in value for value in kernels):
        raise InputError(
            f"{argument} {name} asks for compiled code of the hub ({kernels[0]}), which is not executed: remove "
            f"attn_implementation from its {CONFIG}"
        )
    for inner in settings.values():
        if isinstance(inner, dict):  # settings of a part, such as text_config
            _refuse_own_code(inner, name, argument)
    if settings.get("auto_map"):
        raise InputError(
            f"{argument} {name} needs code of its own (trust_remote_code), which is not executed: take a model whose "
            "architecture transformers has"
        )


def _state(path: Path) -> tuple[int, int]:
    state = path.stat()
    return state.st_size, state.st_mtime_ns


@lru_cache(maxsize=64)
def _sum_of(path: str, size: int, changed: int) -> str:
    """SHA-256 of a file; its size and time of change are part of the key under which the sum is remembered."""
    with open(path, "rb") as file:
        return sha256_of(file)


def _licence_of_gguf(path: Path) -> str:
    reader = import_extra("gguf", "pretrained", "a .gguf file").GGUFReader(path)
    field = reader.get_field("general.license")
    return UNKNOWN if field is None else str(field.contents())
