"""Messages for errors of the argument parser, with suggestions of near names."""

from __future__ import annotations

import difflib
import inspect
import re
from importlib import import_module
from typing import TYPE_CHECKING, NamedTuple

from ltm_pyro.bounds import AbstractGradient, AbstractObjective
from ltm_pyro.guides import AbstractEncoder, AbstractGuide
from ltm_pyro.inference import WeightObserver
from ltm_pyro.models import AbstractDecoder, AbstractPrior, AbstractReward, AbstractTransport
from ltm_pyro.training.removed_arguments import refusal_of

if TYPE_CHECKING:
    from jsonargparse import ArgumentParser

FAMILIES = {
    "decoder": AbstractDecoder,
    "prior": AbstractPrior,
    "transport": AbstractTransport,
    "reward": AbstractReward,
    "guide": AbstractGuide,
    "encoder": AbstractEncoder,
    "bound": AbstractObjective,
    "objective": AbstractObjective,
    "gradient": AbstractGradient,
    "observer": WeightObserver,
}
KINDS = {"int": "a whole number", "float": "a number", "bool": "true or false", "str": "text", "NoneType": "null"}
KINDS |= {"ltm_pyro.bounds.schedules.AbstractSchedule": "a schedule (LinearSchedule, CyclicalSchedule)"}
KINDS |= {"list": "a list, as [a,b]", "tuple": "a list, as [a,b]"}

LAYER = re.compile(
    r"Parser key \"(?P<key>[\w.]+)\"(?: element \d+)?: |Type \S*Callable.*? a callable class: |"
    r"Problem with given class_path '\S+': "
)
OR_NONE = re.compile(  # of an argument that takes an object of a class, or nothing
    r"Does not validate against any of the Union subtypes Subtypes: \[<class '[\w.]+'>, <class 'NoneType'>\] "
    r"Errors: - (?P<inner>Problem with given class_path .*) - Expected a <class 'NoneType'> Given value type: "
)
NO_OPTION = re.compile(r"(?:Group '(?P<group>[\w.]+)' does not accept option|Option) '(?P<option>[\w.]+)'")
NO_CLASS = re.compile(r"Expected a dot import path string: (\S+)")
WRONG_CLASS = re.compile(r"Import path (\S+) does not correspond|Expected '(\S+)' to be a subclass")
REQUIRED = re.compile(r"[Tt]he following arguments are required: ([\w, ]+)")
ABSTRACT = re.compile(r"Expected an instantiatable class, but (\S+) is abstract")


class Complaint(NamedTuple):
    """The innermost error in a message of the parser."""

    key: str  # the argument's dotted name; empty if the error concerns none
    reason: str
    value: str  # the value that was given
    class_path: str  # of the class that the argument belongs to


def explain(parser: ArgumentParser, error: Exception) -> str:
    """Message for a parse error in full sentences: the fault, the expected value, and near names."""
    return _as_typed(_explained(parser, error))


def _explained(parser: ArgumentParser, error: Exception) -> str:
    message = " ".join(str(error).split())
    complaint = _innermost(message)
    if removed := _removed(message, complaint):
        return _sentences(removed)
    if no_option := NO_OPTION.match(complaint.reason):
        parts = (complaint.key, no_option["group"], no_option["option"])
        return _no_option(parser, ".".join(part for part in parts if part), complaint.class_path)
    family = FAMILIES.get(complaint.key.rsplit(".", 1)[-1])
    if family is not None:
        return _no_class(complaint, family)
    return _sentences(_sentence(complaint), _near_option(parser, complaint.reason))


def refusal_within(error: ValueError) -> str | None:
    """The message of a class that refused a value of a union type; None if the error contains none.

    The parser tries every member of the union, and lists the error of each.
    """
    refused = re.findall(r"^ *- (?!Expected an? )(.+)$", str(error), re.MULTILINE)
    return "; ".join(refused) if "any of the Union subtypes" in str(error) and refused else None


def no_such_class(argument: str, path: str, family: type) -> str:
    """The message of `explain` for a path that is no class of the family that an argument takes."""
    return _no_class(Complaint(argument, "this is the path of none", path, ""), family)


def _innermost(message: str) -> Complaint:
    """Extract the innermost error of a message, joining the keys of the layers around it."""
    keys, class_path = [], ""
    if match := re.search(r" Got value: Namespace\(class_path='([\w.]+)'.*$", message):
        message, class_path = message[: match.start()], match[1]
    if inside := re.search(r"given class_path '([\w.]+)'", message):
        class_path = inside[1]
    while layer := LAYER.match(message) or OR_NONE.match(message):
        parts = layer.groupdict()
        keys += [parts["key"]] if parts.get("key") else []
        message = parts.get("inner") or message[layer.end() :]
    value = re.search(r"\.? (?:Got|Given) value: (.*?)\.?$", message)
    reason = message[: value.start()] if value else message
    return Complaint(".".join(keys), reason.rstrip("."), value[1] if value else "", class_path)


def _sentence(complaint: Complaint) -> str:
    reason = complaint.reason
    if kinds := re.findall(r"<class '([\w.]+)'>", reason.split(" Errors: ")[0]):
        reason = "expected " + " or ".join(KINDS.get(kind, kind) for kind in kinds)
    if choices := re.match(r"Expected a typing\.Literal\[(.*)\]", reason):
        reason = f"expected one of {choices[1]}"
    reason = reason.split(" - Parser key")[0]
    if re.match("Problems parsing config|Unexpected config|'utf-8' codec", reason):
        reason = f"expected a file of arguments in YAML: {reason}"
    argument = f"--{complaint.key} {complaint.value}".rstrip() + ": " if complaint.key else ""
    return argument + reason


def _no_class(complaint: Complaint, family: type) -> str:
    class_names = {cls.__name__ for cls in _concrete(family)}
    value, reason = complaint.value or complaint.class_path, complaint.reason
    if missing := NO_CLASS.search(reason):  # at the start, or among the errors of a union
        value, reason = missing[1], f"there is no such {complaint.key.rsplit('.', 1)[-1]}"
    elif reason == "this is the path of none":
        reason = f"this is no class that derives from {family.__name__}"
    elif reason.startswith("Dict must include a class_path"):
        value, reason = "", "arguments are given, and no class; name it too"
    elif required := REQUIRED.search(reason):
        options = " and ".join(f"--{complaint.key}.{name}" for name in required[1].split(", "))
        return _sentences(f"--{complaint.key} {value}: give {options} too, which has no default")
    elif wrong := WRONG_CLASS.match(reason):
        value = wrong[1] or wrong[2]
        reason = f"this is no {family.__name__}; a class of your own derives from ltm_pyro.{family.__name__}"
    elif abstract := ABSTRACT.match(reason):
        value, reason = abstract[1], "this is an abstract class; give one that derives from it"
    near = _near(value.rsplit(".", 1)[-1], class_names - {value.rsplit(".", 1)[-1]})
    names = ", ".join(sorted(class_names))
    choices = f"Known: {names}; or the import path of a class of your own"
    return _sentences(f"--{complaint.key} {value}".rstrip() + f": {reason}", near, choices)


def _no_option(parser: ArgumentParser, name: str, class_path: str) -> str:
    if not class_path:
        known = _options(parser) - {_as_typed(f"--{name}")}  # of another decoder
        return _sentences(f"there is no argument --{name}", _near(f"--{name}", known))
    owner, option = name.rsplit(".", 1)
    module, cls = class_path.rsplit(".", 1)
    arguments = set(inspect.signature(getattr(import_module(module), cls)).parameters) - {"z_shape", "thought_shape"}
    near = _near(option, arguments, f"--{owner}.")
    takes = f"It takes: {', '.join(sorted(arguments)) or 'none'}"
    return _sentences(f"--{name}: {cls} takes no argument {option!r}", near, takes)


def _removed(message: str, complaint: Complaint) -> str:
    """The message for a removed argument that an error names; empty if it names none."""
    options = [option.removeprefix("--") for option in re.findall(r"--[\w.]+", message)]
    if no_option := NO_OPTION.match(complaint.reason):
        options.append(".".join(part for part in (complaint.key, no_option["group"], no_option["option"]) if part))
    return next(filter(None, map(refusal_of, options)), "")


def _near_option(parser: ArgumentParser, message: str) -> str:
    unknown = [option for option in re.findall(r"--[\w.-]+", message) if option not in _options(parser)]
    return _near(unknown[0], _options(parser)) if unknown else ""


def _as_typed(text: str) -> str:
    """A text with the arguments of decoders by their options' names."""
    return text.replace("decoder.init_args.", "decoder.")


def _options(parser: ArgumentParser) -> set[str]:
    return {name for action in parser._actions for name in action.option_strings if name.startswith("--")}


def _near(word: str, known: set[str], prefix: str = "") -> str:
    """Question with the names near to a word, best first, each after the prefix; empty if there are none."""
    near = [prefix + name for name in difflib.get_close_matches(word, sorted(known), n=3, cutoff=0.7)]
    return f"Did you mean {' or '.join(near)}?" if near else ""


def _sentences(*parts: str) -> str:
    return " ".join(part if part.endswith("?") else f"{part}." for part in parts if part)


def _concrete(base: type) -> set[type]:
    below: set[type] = set()
    derived: type
    for derived in base.__subclasses__():
        below |= {derived, *_concrete(derived)}
    return {cls for cls in below if not inspect.isabstract(cls)}
