"""The configuration of a run: a nested dict of plain values, as `config.yaml` holds it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ltm_pyro.errors import InputError
from ltm_pyro.runs.names import did_you_mean
from ltm_pyro.training.build import RECIPES
from ltm_pyro.training.class_paths import checked_arguments
from ltm_pyro.training.decoder_tokenizer import with_tokenizer_of_decoder
from ltm_pyro.training.missing_values import missing_value
from ltm_pyro.training.parse_errors import explain
from ltm_pyro.training.run import UNREADABLE, USUAL, parse_settings, run_parser
from ltm_pyro.training.start_from import with_tokenizer_of_start

if TYPE_CHECKING:
    from jsonargparse import Namespace

Settings = dict[str, Any]
CLASSES = (  # given by class path
    *("prior", "transport", "guide", "reward", "fast.bound", "slow.bound", "fast.optimizer", "slow.optimizer"),
)


def recipes() -> list[str]:
    """The names of the recipes."""
    return sorted(path.stem for path in RECIPES.glob("*.yaml"))


def recipe(name: str = "tiny") -> Settings:
    """The settings of a recipe, the defaults of a run.

    Raises:
        InputError: if there is no recipe of that name.
    """
    import yaml

    if name not in recipes():
        raise InputError(
            f"unknown recipe {name!r}: {did_you_mean(name, recipes())}The recipes are {', '.join(recipes())}"
        )
    settings: Settings = yaml.safe_load((RECIPES / f"{name}.yaml").read_text(encoding="utf-8"))
    return settings


def merged(base: Mapping[str, Any], *changes: Mapping[str, Any]) -> Settings:
    """New settings: the base with changes merged into it, from left to right.

    A change that names a class replaces the class of the base and all arguments of that class. A change that names
    none changes arguments of the class in the base.

    Args:
        base: nested settings; a key may also be a path, as `train.steps` or `prior.components`.
        changes: in the same form.

    Example:
        >>> merged({"train": {"steps": 10, "seed": 0}}, {"train.steps": 20})
        {'train': {'steps': 20, 'seed': 0}}
        >>> normal = {"prior": {"class_path": "LaplacePrior", "init_args": {"scale": 2.0}}}
        >>> merged(normal, {"prior": {"class_path": "GaussianPrior"}})
        {'prior': {'class_path': 'GaussianPrior'}}
        >>> merged(normal, {"prior.scale": 3.0})
        {'prior': {'class_path': 'LaplacePrior', 'init_args': {'scale': 3.0}}}
    """
    result: Settings = {}
    for settings in (base, *changes):
        for key, value in settings.items():
            _lay(result, key, value)
    return result


def complete(settings: Mapping[str, Any]) -> Namespace:
    """Every argument of a run, checked; an argument that the settings leave out has its default.

    Classes of other packages that the settings name are imported, since the settings are the caller's own.

    Raises:
        InputError: for an unknown argument, a value of another type, or a class of another kind.
    """
    from jsonargparse import ArgumentError

    parser = run_parser()
    values = checked_arguments(parser, merged(USUAL, settings), trust_code=True).values
    try:
        config = parse_settings(values)
        missing = missing_value(config)
    except (ArgumentError, *UNREADABLE) as error:
        raise InputError(explain(parser, error)) from error
    if missing:
        raise InputError(f"{missing} is None: expected a value; leave the argument out for its default")
    return with_tokenizer_of_decoder(with_tokenizer_of_start(config))


def as_dict(config: Namespace) -> Settings:
    """A configuration as plain values: nested dicts, lists, text, numbers."""
    import yaml

    settings: Settings = yaml.safe_load(run_parser(config).dump(config, skip_unset=False))
    return settings


def value_of(settings: Mapping[str, Any], path: str) -> Any:
    """The value at a path such as `train.steps`; None if the path does not exist."""
    inner: Any = settings
    for key in path.split("."):
        inner = inner.get(key) if isinstance(inner, Mapping) else None
    return inner


def without(settings: Mapping[str, Any], *paths: str) -> Settings:
    """Settings without the values at some paths."""
    remaining = merged(settings)
    for path in paths:
        *groups, last = path.split(".")
        holder = value_of(remaining, ".".join(groups)) if groups else remaining
        if isinstance(holder, dict):
            holder.pop(last, None)
    return remaining


def refuse_other_classes(config: Namespace) -> None:
    """Raise InputError if an argument names anything other than a class of the kind that it takes."""
    checked_arguments(run_parser(), as_dict(config), trust_code=True)


def _lay(target: Settings, key: str, value: Any) -> None:
    first, _, subpath = key.partition(".")
    if subpath:
        value = {subpath: value}
    before = target.get(first)
    if not isinstance(value, Mapping):
        target[first] = list(value) if isinstance(value, list | tuple) else value
    elif "class_path" in value or before is None:
        target[first] = merged(value)
    elif isinstance(before, str) or "class_path" in before:
        target[first] = _with_arguments({"class_path": before} if isinstance(before, str) else before, value)
    else:
        target[first] = merged(before, value)


def _with_arguments(named: Settings, change: Mapping[str, Any]) -> Settings:
    """A class with some of its arguments changed."""
    change = merged(change)
    arguments = change["init_args"] if set(change) == {"init_args"} else change
    return {**named, "init_args": merged(named.get("init_args") or {}, arguments)}
