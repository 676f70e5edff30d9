"""The gain of a reward head on held-out labels: that of the true head where z tells, nothing for shuffled labels."""

import math

import numpy as np
import pytest
import torch
from toys import TinyModel, large_weights

from ltm_pyro import ELBO, FastLoop, LatentThoughtModel
from ltm_pyro.control import HeadFit, LabelGain, LabelledDraws, draw_labelled, measure_labels
from ltm_pyro.control.head_fit import fit_head, fresh_head
from ltm_pyro.control.label_gain import verdict
from ltm_pyro.data import Batch
from ltm_pyro.errors import InputError
from ltm_pyro.models import CategoricalReward, GaussianReward

SHAPE = (1, 1, 2)
QUICK = HeadFit(epochs=40, patience=8, learning_rate=0.03)


def planted(kind):
    """A head that tells, along the first dimension of z."""
    head = kind(SHAPE, hidden=0).double()
    with torch.no_grad():
        head.out.weight.zero_()
        head.out.weight[-1, 0] = 4.0
    return head


def labelled(head, count, tells=True, draws=4):
    """Draws of narrow posteriors around z ~ N(0, I), and labels from the head at z, or at another z."""
    center = torch.randn(count, *SHAPE, dtype=torch.float64)
    r = head(center if tells else torch.randn_like(center)).sample()
    return LabelledDraws(center + 0.05 * torch.randn(draws, count, *SHAPE, dtype=torch.float64), r)


@pytest.fixture(scope="module", params=[CategoricalReward, GaussianReward])
def telling(request):
    torch.manual_seed(0)
    head = planted(request.param)
    return head, measure_labels(head, labelled(head, 200), labelled(head, 200), 10, QUICK)


def test_a_head_that_is_fitted_again_comes_near_the_true_one_and_a_shuffled_one_gains_nothing(telling):
    head, gain = telling
    (own, own_error), (again, error) = gain.gain("own"), gain.gain("again")
    assert own > 5 * own_error
    assert again > 5 * error
    assert again > 0.85 * own
    wrong, wrong_error = gain.gain("shuffled")
    assert wrong < max(2 * wrong_error, 0.02)
    assert gain.gain("marginal") == (0.0, 0.0)
    table = gain.table()
    assert "The run's head: above no gain, the thoughts tell of the label." in table
    assert "| training labels shuffled" in table.replace("the same, ", "| ")
    assert bool(gain.right) is not head.numeric
    if gain.right:
        assert gain.right["again"].mean() > 0.8 > gain.right["shuffled"].mean()


def test_labels_of_other_thoughts_have_nothing_to_gain():
    torch.manual_seed(0)
    head = planted(CategoricalReward)
    gain = measure_labels(head, labelled(head, 150, False), labelled(head, 150, False), 10, QUICK)
    again, error = gain.gain("again")
    assert again < max(2 * error, 0.02)
    assert gain.gain("own")[0] < -0.5  # a head that is sure of what it cannot know pays for it
    assert "The run's head: worse than a prediction without thoughts." in gain.table()


def test_the_marginal_is_the_distribution_of_the_training_labels():
    head = fresh_head(CategoricalReward(SHAPE, classes=3).double(), 10, torch.tensor([0, 0, 0, 1]))
    z = torch.randn(5, *SHAPE).double()
    torch.testing.assert_close(head(z).probs, torch.tensor([4, 2, 1]).double().expand(5, 3) / 7)
    r = torch.tensor([1.0, 2.0, 6.0]).double()
    numbers = fresh_head(GaussianReward(SHAPE).double(), 10, r)(z)
    torch.testing.assert_close(numbers.mean, r.mean().expand(5))
    torch.testing.assert_close(numbers.stddev, r.std().expand(5))


def test_a_fit_leaves_the_global_random_state_and_needs_five_texts():
    head = planted(CategoricalReward)
    draws = labelled(head, 20)
    before = torch.get_rng_state()
    measure_labels(head, draws, draws, 10, HeadFit(epochs=1))
    assert torch.equal(torch.get_rng_state(), before)
    with pytest.raises(InputError, match="4 labelled texts: expected 5 or more"):
        fit_head(head, draws.of(torch.arange(4)))


def batch_of(x, labels):
    return Batch(x, None, torch.ones(len(x), dtype=torch.long), torch.arange(len(x)), torch.ones_like(x), None, labels)


def test_no_label_leaks_into_the_posteriors():
    tiny = TinyModel(length=6)
    tiny.model = LatentThoughtModel(
        tiny.model.prior, tiny.decoder, reward=large_weights(CategoricalReward(tiny.decoder.z_shape))
    )
    fast = FastLoop(ELBO(), steps=3, learning_rate=0.3)

    def draws(labels):
        batches = [batch_of(tiny.x, torch.tensor(labels))]
        return draw_labelled(tiny.model, tiny.guide, fast, batches, ("a", "b"), draws=2)

    first, second = draws([0, 1, 1]), draws([1, 0, 0])
    assert torch.equal(first.z, second.z)
    assert first.r.tolist() == [0, 1, 1]
    torch.manual_seed(0)  # the leaking twin: q fitted to text and label
    fitted = []
    for r in (torch.tensor([0, 1, 1]), torch.tensor([1, 0, 0])):
        torch.manual_seed(0)
        fast.fit(tiny.model, tiny.guide, tiny.x, r=r)
        fitted.append(tiny.guide.posterior().mean)
    assert not torch.equal(*fitted)
    with pytest.raises(InputError, match="a text has no label"):
        draws([0, -1, 1])


def test_verdicts():
    assert verdict(0.1, 0.2) == "within two standard errors of no gain"
    assert verdict(0.1, math.nan) == "one text alone, which has no error"
    one = LabelGain({name: np.ones(1) for name in ("own", "again", "shuffled", "marginal")}, {}, 5)
    assert "one text alone" in one.table()
