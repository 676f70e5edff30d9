"""Control of thoughts by a field of the corpus: a conditional flow, fitted to posteriors by maximum likelihood."""

from ltm_pyro.control.conditions import NoCondition as NoCondition
from ltm_pyro.control.conditions import ThoughtCondition as ThoughtCondition
from ltm_pyro.control.conditions import ValueCondition as ValueCondition
from ltm_pyro.control.flow_fit import FittedControl as FittedControl
from ltm_pyro.control.flow_fit import FlowFit as FlowFit
from ltm_pyro.control.flow_fit import Texts as Texts
from ltm_pyro.control.flow_fit import fit_control as fit_control
from ltm_pyro.control.gain import ControlGain as ControlGain
from ltm_pyro.control.gain import measure_gain as measure_gain
from ltm_pyro.control.head_fit import HeadFit as HeadFit
from ltm_pyro.control.label_gain import LabelGain as LabelGain
from ltm_pyro.control.label_gain import measure_labels as measure_labels
from ltm_pyro.control.labelled_draws import LabelledDraws as LabelledDraws
from ltm_pyro.control.labelled_draws import draw_labelled as draw_labelled
from ltm_pyro.control.posterior_draws import PosteriorDraws as PosteriorDraws
from ltm_pyro.control.posterior_draws import draw_posteriors as draw_posteriors
from ltm_pyro.control.prior import ControlPrior as ControlPrior
from ltm_pyro.control.prior import FlowSizes as FlowSizes
from ltm_pyro.control.prior import new_prior as new_prior
from ltm_pyro.control.saved import controls_of as controls_of
from ltm_pyro.control.saved import load_control as load_control
from ltm_pyro.control.saved import save_control as save_control
from ltm_pyro.offered import offered

__all__ = offered(globals())
