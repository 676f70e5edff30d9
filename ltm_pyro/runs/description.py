"""The settings of a run, derived from its objects."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

from ltm_pyro.errors import InputError
from ltm_pyro.known_classes import public_path
from ltm_pyro.models import AutoregressiveModel, Decoder, LatentThoughtModel, MaskedDiffusionModel
from ltm_pyro.recorded import Recorded
from ltm_pyro.runs.config import Settings
from ltm_pyro.training.decoder_arguments import FROM_RUN

if TYPE_CHECKING:
    from ltm_pyro.training.build import RunComponents

MODELS = {
    LatentThoughtModel: "latent-thought",
    AutoregressiveModel: "autoregressive",
    MaskedDiffusionModel: "masked-diffusion",
}


def described(components: RunComponents) -> Settings:
    """The configuration of objects, as `config.yaml` holds it: their classes and constructor arguments.

    Args:
        components: model, guide, fast loop and slow step.

    Raises:
        InputError: for objects that a file cannot describe: a model of another class, a tensor or function as argument.
    """
    model, guide, fast, slow = components
    decoder = model.decoder
    kind = MODELS.get(type(model))
    if kind is None:
        raise InputError(
            f"a run's model is a {', a '.join(cls.__name__ for cls in MODELS)}, not a {type(model).__name__}: train "
            "other models with DualRateSVI"
        )
    settings: Settings = {
        "model": kind,
        "decoder": (_arguments if type(decoder) is Decoder else _class)("decoder", decoder, FROM_RUN),
        "data": {"length": decoder.length},
        "fast": _arguments("fast", fast),
        "slow": _arguments("slow", slow, ("steps",)),
    }
    if isinstance(model, LatentThoughtModel):
        settings["prior"] = _class("prior", model.prior, ("z_shape",))
        if model.transport is not None:
            settings["transport"] = _class("transport", model.transport, ("z_shape", "thought_shape"))
        settings["guide"] = _class("guide", guide, ("z_shape",))
        settings["thought_width"] = model.prior.z_shape[2]
        if model.reward is not None:
            settings["reward"] = _class("reward", model.reward, ("z_shape",))
    if isinstance(model, MaskedDiffusionModel):
        settings["diffusion"] = {name: value for name, value in model.made_with.items() if name != "decoder"}
    return settings


def refuse_unlike(given: RunComponents, again: RunComponents) -> None:
    """Refuse objects whose description does not rebuild them with the same weights by name and shape.

    Args:
        given: the user's objects.
        again: the objects built from their description.

    Raises:
        InputError: if a weight differs, so that the run could not be opened again.
    """
    ours, theirs = ({name: weight.shape for name, weight in of.state_dict().items()} for of in (given, again))
    unlike = sorted(name for name in {**ours, **theirs} if ours.get(name) != theirs.get(name))
    if unlike:
        raise InputError(
            f"the run could not be opened again: rebuilt from their constructor arguments, the objects differ in "
            f"{', '.join(unlike[:3])}. Pass everything that shapes weights to the constructors"
        )


def _arguments(name: str, component: Recorded, excluded: tuple[str, ...] = ()) -> Settings:
    return {key: _plain(f"{name}.{key}", value) for key, value in component.made_with.items() if key not in excluded}


def _class(name: str, component: Recorded, excluded: tuple[str, ...] = ()) -> Settings:
    return {"class_path": public_path(type(component)), "init_args": _arguments(name, component, excluded)}


def _plain(name: str, value: Any) -> Any:
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, list | tuple):
        return [_plain(name, item) for item in value]
    if isinstance(value, Mapping):
        return {str(key): _plain(f"{name}.{key}", item) for key, item in value.items()}
    if isinstance(value, Recorded):
        return _class(name, value)
    if isinstance(value, type):
        return {"class_path": public_path(value)}
    if isinstance(value, partial) and isinstance(value.func, type) and not value.args:
        return {"class_path": public_path(value.func), "init_args": _plain(name, value.keywords)}
    raise InputError(
        f"{name} is a {type(value).__name__}, which config.yaml cannot hold: give numbers, text, classes, "
        "functools.partial of a class, or objects of ltm_pyro"
    )
