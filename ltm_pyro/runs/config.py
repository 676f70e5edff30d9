"""The configuration of a run: a nested dict of plain values, as `config.yaml` holds it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ltm_pyro.errors import InputError
from ltm_pyro.runs.names import did_you_mean
from ltm_pyro.training.build import RECIPES
from ltm_pyro.training.class_paths import checked_arguments
from ltm_pyro.training.missing_values import missing_value
from ltm_pyro.training.parse_errors import explain
from ltm_pyro.training.run import UNREADABLE, USUAL, parse_settings, run_parser
from ltm_pyro.training.start_from import with_tokenizer_of_start

if TYPE_CHECKING:
    from jsonargparse import Namespace

Settings = dict[str, Any]
CLASSES = ("prior", "guide", "fast.bound", "slow.bound", "fast.optimizer", "slow.optimizer")  # each named by its path


def recipes() -> list[str]:
    """The names of the recipes."""
    return sorted(path.stem for path in RECIPES.glob("*.yaml"))


def recipe(name: str = "tiny") -> Settings:
    """A recipe: the settings that a run starts from.

    Raises:
        InputError: if there is none of that name.
    """
    import yaml

    if name not in recipes():
        raise InputError(
            f"unknown recipe {name!r}: {did_you_mean(name, recipes())}The recipes are {', '.join(recipes())}"
        )
    settings: Settings = yaml.safe_load((RECIPES / f"{name}.yaml").read_text(encoding="utf-8"))
    return settings


def merged(base: Mapping[str, Any], *changes: Mapping[str, Any]) -> Settings:
    """Settings with changes laid over them, from left to right; nothing that is given is altered.

    A class that a change names takes the place of the one that stood there, with all of that one's arguments; a
    change that names none changes the arguments of the one that stands there.

    Args:
        base: nested; a key may also be a path, as `train.steps` or `prior.components`.
        changes: the same.

    Example:
        >>> merged({"train": {"steps": 10, "seed": 0}}, {"train.steps": 20})
        {'train': {'steps': 20, 'seed': 0}}
        >>> normal = {"prior": {"class_path": "LaplacePrior", "init_args": {"scale": 2.0}}}
        >>> merged(normal, {"prior": {"class_path": "GaussianPrior"}})
        {'prior': {'class_path': 'GaussianPrior'}}
        >>> merged(normal, {"prior.scale": 3.0})
        {'prior': {'class_path': 'LaplacePrior', 'init_args': {'scale': 3.0}}}
    """
    whole: Settings = {}
    for settings in (base, *changes):
        for key, value in settings.items():
            _lay(whole, key, value)
    return whole


def complete(settings: Mapping[str, Any]) -> Namespace:
    """Every argument of a run, checked: those that the settings leave out have their defaults.

    The settings are the caller's own: the classes of other packages that they name are imported.

    Raises:
        InputError: for an argument that there is not, a value of another type, or a class of another kind.
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
        raise InputError(f"{missing} is None: expected a value; leave it out to take the default")
    return with_tokenizer_of_start(config)


def as_dict(config: Namespace) -> Settings:
    """A configuration as plain values: nested dicts, lists, text, numbers."""
    import yaml

    settings: Settings = yaml.safe_load(run_parser(config).dump(config, skip_unset=False))
    return settings


def value_of(settings: Mapping[str, Any], path: str) -> Any:
    """The value at a path such as `train.steps`; None if there is none."""
    inner: Any = settings
    for key in path.split("."):
        inner = inner.get(key) if isinstance(inner, Mapping) else None
    return inner


def without(settings: Mapping[str, Any], *paths: str) -> Settings:
    """Settings without what stands at some paths."""
    rest = merged(settings)
    for path in paths:
        *groups, last = path.split(".")
        holder = value_of(rest, ".".join(groups)) if groups else rest
        if isinstance(holder, dict):
            holder.pop(last, None)
    return rest


def refuse_other_classes(config: Namespace) -> None:
    """Raises InputError where an argument names anything but a class of the kind that it takes."""
    checked_arguments(run_parser(), as_dict(config), trust_code=True)


def _lay(whole: Settings, key: str, value: Any) -> None:
    first, _, rest = key.partition(".")
    if rest:
        value = {rest: value}
    before = whole.get(first)
    if not isinstance(value, Mapping):
        whole[first] = list(value) if isinstance(value, list | tuple) else value
    elif "class_path" in value or before is None:
        whole[first] = merged(value)
    elif isinstance(before, str) or "class_path" in before:
        whole[first] = _with_arguments({"class_path": before} if isinstance(before, str) else before, value)
    else:
        whole[first] = merged(before, value)


def _with_arguments(named: Settings, change: Mapping[str, Any]) -> Settings:
    """A class with other arguments."""
    change = merged(change)
    arguments = change["init_args"] if set(change) == {"init_args"} else change
    return {**named, "init_args": merged(named.get("init_args") or {}, arguments)}
