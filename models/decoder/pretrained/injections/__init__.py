"""Injections: the ways in which thoughts enter a pretrained model."""

from ltm_pyro.models.decoder.pretrained.injections.abstract import AbstractInjection, BodySizes, Inserted
from ltm_pyro.models.decoder.pretrained.injections.choice import INJECTIONS, make_injection

__all__ = ["INJECTIONS", "AbstractInjection", "BodySizes", "Inserted", "make_injection"]
