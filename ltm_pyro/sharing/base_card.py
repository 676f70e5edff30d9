"""Parts of a model card on the pretrained models that a run stands on, its bases."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ltm_pyro.pretrained.source import HUB, UNKNOWN
from ltm_pyro.sharing.escaping import escaped, quoted
from ltm_pyro.training.bases import ALL, Base, is_of_hub

FINETUNE, ADAPTER = "finetune", "adapter"  # of `base_model_relation`, as the hub names them


def front_matter(bases: Sequence[Base]) -> dict[str, Any]:
    """Front matter that the hub reads: the names of bases that are on it, and how the weights relate to them."""
    names = [base["name"].removeprefix(HUB) for base in bases if is_of_hub(base)]
    if not names:
        return {}
    relation = FINETUNE if any(base["learns"] == ALL for base in bases) else ADAPTER
    return {"base_model": names[0] if len(names) == 1 else names, "base_model_relation": relation}


def licence_of_weights(bases: Sequence[Base]) -> str | None:
    """The one known licence of the bases whose weights the run holds; None without one, or with several."""
    licences = {base["licence"] for base in bases if base["learns"] == ALL} - {UNKNOWN}
    return licences.pop() if len(licences) == 1 else None


def base_section(bases: Sequence[Base]) -> list[str]:
    """Section on the bases; none for a run without."""
    if not bases:
        return []
    head = "| part | pretrained model | revision | licence | SHA-256 of the weights |\n| --- | --- | --- | --- | --- |"
    rows = "\n".join(_row(base) for base in bases)
    return ["\n\n".join(["## Base", f"{head}\n{rows}", *map(_relation, bases)])]


def needs_place(bases: Sequence[Base]) -> str | None:
    """The option of `ltm pull` for bases that are not on the hub; empty if all are, None for a run without bases."""
    if not bases:
        return None
    places = ["PLACE" for base in {base["sha256"]: base for base in bases}.values() if not is_of_hub(base)]
    return f" --base {','.join(places)}" if places else ""


def _row(base: Base) -> str:
    name, revision = quoted(base["name"]), quoted(base["revision"]) if base["revision"] else ""
    return f"| {quoted(base['part'])} | {name} | {revision} | {escaped(base['licence'])} | `{base['sha256']}` |"


def _relation(base: Base) -> str:
    name = quoted(base["name"])
    if base["learns"] != ALL:
        return f"The weights of {name} are frozen and are not in this repository: get them under their own licence."
    known = f", {escaped(base['licence'])}" if base["licence"] != UNKNOWN else ", which it does not state"
    return f"The weights in this repository are derived from those of {name}, and are under its licence{known}."
