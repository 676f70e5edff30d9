"""A run's objects with the prior of a control at a given value."""

from __future__ import annotations

from copy import copy
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from ltm_pyro.control import ControlPrior, controls_of, load_control
from ltm_pyro.control.saved import ControlRecord, read_record, weights_of
from ltm_pyro.errors import InputError
from ltm_pyro.models.priors.conditioned import ConditionedPrior
from ltm_pyro.runs.names import did_you_mean
from ltm_pyro.runs.value_thoughts import value_thoughts

if TYPE_CHECKING:
    from torch import Tensor

    from ltm_pyro.models import AbstractModel, AbstractPrior
    from ltm_pyro.training.build import RunComponents
    from ltm_pyro.training.run import Run

SHOWN = 8  # values that a message names


def components_given(
    run: Run, components: RunComponents, checkpoint: str, given: str | None, attribute: str | None = None
) -> RunComponents:
    """The same objects with p(z | value) in the place of the prior, in a copy of the model.

    Args:
        run, components: a run and its trained objects.
        checkpoint: the name of the checkpoint whose weights these objects have, as in `Run.load`.
        given: the value; None leaves the objects as they are.
        attribute: the field that it is a value of; may be None if the run has a control of one field.

    Raises:
        InputError: if the run has no such control, the control belongs to other weights, or it does not know the
            value.
    """
    if given is None:
        if attribute is not None:
            raise InputError(f"--attribute {attribute}: give a value of it too, --given VALUE")
        return components
    model = components.model
    if model.prior is None:
        raise InputError(f"--given {given}: {run.folder} has no thoughts, so that no value can be given; leave it out")
    folder = _folder(run, attribute)
    record = read_record(folder)
    device = next(model.parameters()).device
    prior = load_control(folder, model.prior.z_shape, weights_of(run.find(checkpoint))).to(device)
    context = _context(run, components, prior, record, given.strip(), device)
    return components._replace(model=_with_prior(model, ConditionedPrior(prior.flow, context).eval()))


def _folder(run: Run, attribute: str | None) -> Path:
    """The folder of the control of a field."""
    controls = controls_of(run.folder)
    if not controls:
        raise InputError(
            f"{run.folder} has no control, so that no value can be given: fit one by `ltm control {run.folder} "
            "--attribute FIELD`"
        )
    listed = ", ".join(controls)
    if attribute is None and len(controls) > 1:
        raise InputError(f"{run.folder} has several controls: name the one of the value, --attribute FIELD of {listed}")
    if attribute is not None and attribute not in controls:
        hint = did_you_mean(attribute, controls)
        raise InputError(
            f"{run.folder} has no control of {attribute!r}: {hint}there is one of {listed}. `ltm control {run.folder} "
            f"--attribute {attribute}` fits another"
        )
    return next(iter(controls.values())) if attribute is None else controls[attribute]


def _context(
    run: Run, components: RunComponents, prior: ControlPrior, record: ControlRecord, value: str, device: torch.device
) -> Tensor:
    """The context of a value, shape (C,)."""
    values = record["values"]
    with torch.no_grad():
        if record["condition"] == "thoughts":
            means = value_thoughts(run, components, device, [value])
            return prior.condition(means.to(device))[0]
        if value not in values:
            others = ", ".join([*values[:SHOWN], *["..."] * (len(values) > SHOWN)])
            raise InputError(
                f"--given {value}: this value of {record['field']!r} was never seen: {did_you_mean(value, values)}"
                f"known ones are {others}. `ltm control --condition thoughts` takes any text"
            )
        return prior.condition(torch.tensor(values.index(value), device=device))


def _with_prior(model: AbstractModel, prior: AbstractPrior) -> AbstractModel:
    """A shallow copy of a model with another prior."""
    other = copy(model)
    other.__dict__["_modules"] = {**model._modules, "prior": prior}
    return other
