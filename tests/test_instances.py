"""A class where an object belongs, an object where its class belongs, and arguments in another order."""

import pytest
import torch

import ltm_pyro as ltm
from ltm_pyro import ELBO, Decoder, DualRateSVI, FastLoop, GaussianPrior, LatentThoughtModel, MeanFieldGuide, SlowStep
from ltm_pyro.errors import InputError
from ltm_pyro.evaluation import Evaluator
from ltm_pyro.generation import Sampling, write

DECODER = Decoder(vocabulary=5, width=8, layers=1, heads=2, thoughts=1, length=6)
BARE = Decoder(vocabulary=5, width=8, layers=1, heads=2, thoughts=0, length=6)
SHAPE = DECODER.z_shape
MODEL, GUIDE = LatentThoughtModel(GaussianPrior(SHAPE), DECODER), MeanFieldGuide(SHAPE)
FAST, SLOW = FastLoop(ELBO(), 1), SlowStep(ELBO())
X, Z = torch.zeros(2, 4, dtype=torch.long), torch.zeros(2, *SHAPE)
ADAM = torch.optim.Adam([torch.zeros(1, requires_grad=True)])

CLASSES = {
    "fast bound": (lambda: FastLoop(ELBO), r"bound is the class ELBO: give an instance, such as ELBO\(\)"),
    "slow bound": (lambda: SlowStep(ltm.ImportanceWeighted), r"the class ImportanceWeighted.*ImportanceWeighted\("),
    "no bound": (lambda: FastLoop(GUIDE), r"bound is a MeanFieldGuide: give an instance, such as ELBO\(\)"),
    "gradient": (lambda: ELBO(gradient=ltm.StickingTheLanding), "gradient is the class StickingTheLanding: give an"),
    "gradient as bound": (lambda: ELBO(gradient=ELBO()), "gradient is a ELBO"),
    "particles": (lambda: ELBO(ltm.StickingTheLanding()), "particles=.*whole number"),
    "schedule": (lambda: ltm.KLWeighted(ltm.LinearSchedule), r"the class LinearSchedule: give an instance.*LinearSch"),
    "capacity": (lambda: ltm.TargetCapacity("much"), "a str: give an instance, such as 1.0"),
    "optimizer": (lambda: FastLoop(ELBO(), optimizer=ADAM), "optimizer is a Adam: give a function or class"),
    "slow optimizer": (lambda: SlowStep(ELBO(), optimizer=ADAM), "optimizer is a Adam: give a function or class"),
    "prior": (lambda: LatentThoughtModel(GaussianPrior, DECODER), "prior is the class GaussianPrior: give an instance"),
    "decoder": (lambda: LatentThoughtModel(GaussianPrior(SHAPE), Decoder), "decoder is the class Decoder"),
    "prior, decoder": (lambda: LatentThoughtModel(DECODER, GaussianPrior(SHAPE)), "prior is a Decoder"),
    "autoregressive": (lambda: ltm.AutoregressiveModel(Decoder), "decoder is the class Decoder"),
    "diffusion": (lambda: ltm.MaskedDiffusionModel(SHAPE), "decoder is a tuple"),
    "tokens": (lambda: ltm.TokenSequence(Decoder, Z), "decoder is the class Decoder"),
    "z_shape": (lambda: MeanFieldGuide(GaussianPrior(SHAPE)), "z_shape is a GaussianPrior: expected three"),
    "z_shape of two": (lambda: GaussianPrior((2, 3)), r"z_shape is \(2, 3\): expected three whole numbers"),
    "memory": (lambda: ltm.MemoryGuide(SHAPE, GUIDE), "guide is a MeanFieldGuide: give a function or class"),
    "flow": (lambda: ltm.FlowGuide(SHAPE, GUIDE), "base is a MeanFieldGuide: give a function or class"),
    "autoguide": (lambda: ltm.AutoGuideAdapter(SHAPE, 3), "autoguide is a int: give a function or class"),
    "encoder": (lambda: ltm.AmortisedGuide(SHAPE, encoder=torch.nn.Linear), "encoder is the class Linear"),
    "svi model": (lambda: DualRateSVI(LatentThoughtModel, GUIDE, FAST), "model is the class LatentThoughtModel"),
    "svi guide": (lambda: DualRateSVI(MODEL, MeanFieldGuide, FAST), "guide is the class MeanFieldGuide"),
    "svi guide, model": (lambda: DualRateSVI(GUIDE, MODEL, FAST), "model is a MeanFieldGuide and guide is a Latent"),
    "svi slow, fast": (lambda: DualRateSVI(MODEL, GUIDE, SLOW, FAST), "fast is a SlowStep: give an instance, such as"),
    "svi fast": (lambda: DualRateSVI(MODEL, GUIDE, FastLoop), "fast is the class FastLoop"),
    "svi slow": (lambda: DualRateSVI(MODEL, GUIDE, FAST, ELBO()), "slow is a ELBO"),
    "fit": (lambda: FAST.fit(GUIDE, MODEL, X), "in this order"),
    "fit a class": (lambda: FAST.fit(MODEL, MeanFieldGuide, X), "guide is the class MeanFieldGuide"),
    "numbers": (lambda: Evaluator(MODEL, FAST, GUIDE), "guide is a FastLoop"),
    "numbers' loop": (lambda: Evaluator(MODEL, GUIDE, ELBO()), "fast is a ELBO"),
    "sampling": (lambda: write(MODEL, Z, X, 1, Sampling), r"sampling is the class Sampling: give an instance, Samp"),
}


@pytest.mark.parametrize("case", CLASSES, ids=str)
def test_it_is_refused_with_what_was_meant(case):
    make, message = CLASSES[case]
    with pytest.raises(InputError, match=message):
        make()


def test_what_was_meant_works():
    DualRateSVI(MODEL, MeanFieldGuide(SHAPE), FAST, SlowStep(ELBO(gradient=ltm.StickingTheLanding()))).step(X)
    ltm.MemoryGuide(SHAPE, lambda shape: MeanFieldGuide(shape))
    GaussianPrior(list(SHAPE))
    GaussianPrior(torch.Size(SHAPE))
    assert ltm.AutoregressiveModel(BARE).prior is None
