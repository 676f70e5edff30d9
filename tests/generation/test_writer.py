"""Written text has the probabilities that the model gives it, and the thoughts that it was given."""

from dataclasses import dataclass, field

import pytest
import torch
from toys import TinyModel, autoregressive_with

from ltm_pyro import ELBO, FastLoop, MeanFieldGuide
from ltm_pyro.errors import InputError
from ltm_pyro.generation import Sampling, thoughts_from_prior, thoughts_from_prompt, write

END = 0


@dataclass(frozen=True)
class Recording(Sampling):
    """Draws as ever, and keeps the log-probabilities of what it drew."""

    kept: list = field(default_factory=list)

    def draw(self, logits, generator=None):
        token = super().draw(logits, generator)
        self.kept.append(logits.log_softmax(-1).gather(-1, token[:, None]).squeeze(-1))
        return token


@dataclass(frozen=True)
class Scripted(Sampling):
    """Draws what it is told to."""

    script: tuple = ()
    place: list = field(default_factory=list)

    def draw(self, logits, generator=None):
        self.place.append(0)
        return torch.tensor(self.script[len(self.place) - 1])


@pytest.mark.parametrize("prompt_length", [0, 1, 9])
def test_what_is_written_has_the_probability_that_teacher_forcing_gives_it(tiny, prompt_length):
    prompt, sampling = tiny.texts(3, length=20)[:, :prompt_length], Recording()
    room = tiny.decoder.length - prompt_length  # well past the window of 4
    written = torch.stack(list(write(tiny.model, tiny.z, prompt, room, sampling)), -1)
    text = torch.cat((prompt, written), -1)
    with torch.no_grad():
        expected = tiny.decoder.token_log_prob(text, tiny.z)[:, prompt_length:]
        other = tiny.decoder.token_log_prob(text, tiny.z.flip(0))[:, prompt_length:]
    torch.testing.assert_close(torch.stack(sampling.kept, -1), expected)
    assert not torch.allclose(other, expected)


def test_a_model_without_thoughts_writes_too():
    model, sampling = autoregressive_with(), Recording()
    prompt = torch.tensor([[3, 4, 5]])
    written = torch.stack(list(write(model, None, prompt, 10, sampling)), -1)
    with torch.no_grad():
        expected = model.decoder.token_log_prob(torch.cat((prompt, written), -1))[:, 3:]
    torch.testing.assert_close(torch.stack(sampling.kept, -1), expected)


def test_each_text_ends_by_itself_and_writing_when_all_have(tiny):
    script = ((5, 5), (END, 6), (7, 7), (8, END), (9, 9))
    tokens = list(write(tiny.model, tiny.z[:2], tiny.x[:2, :0], 5, Scripted(script=script), eos_id=END))
    assert torch.stack(tokens, -1).tolist() == [[5, END, END, END], [5, 6, 7, END]]
    endless = list(write(tiny.model, tiny.z[:2], tiny.x[:2, :0], 5, Scripted(script=script)))
    assert len(endless) == 5


def test_a_text_that_would_not_fit_is_refused_at_once(tiny):
    with pytest.raises(InputError, match=r"15 tokens and 6 new ones exceed the 20 .* write at most 5"):
        write(tiny.model, tiny.z, tiny.x[:, :15], 6)


def test_equal_seeds_write_equal_texts_and_others_do_not(tiny):
    def text(seed):
        generator = torch.Generator().manual_seed(seed)
        return torch.stack(list(write(tiny.model, tiny.z, tiny.x[:, :2], 18, generator=generator)), -1)

    assert torch.equal(text(0), text(0))
    assert not torch.equal(text(0), text(1))


def test_several_texts_at_once_are_each_written_with_their_own_thoughts(tiny):
    def text(rows):
        return torch.stack(list(write(tiny.model, tiny.z[rows], tiny.x[rows, :3], 17, Sampling(0))), -1)

    together = text(slice(None))
    assert torch.equal(together, torch.cat([text([row]) for row in range(3)]))
    assert len(together.unique(dim=0)) == 3


def test_writing_builds_no_graph(tiny):
    tokens = list(write(tiny.model, tiny.z, tiny.x[:, :0], 3))
    assert not any(token.requires_grad for token in tokens)
    assert torch.is_grad_enabled()


def test_thoughts_from_the_prior_are_its_samples(tiny):
    z = thoughts_from_prior(tiny.model, 500)
    assert z.shape == (500, *tiny.decoder.z_shape)
    values = z.flatten()
    assert abs(values.mean()) < 4 / len(values) ** 0.5
    assert abs(values.square().mean() - 1) < 4 * (2 / len(values)) ** 0.5
    assert thoughts_from_prior(autoregressive_with(), 3) is None


def test_thoughts_from_a_prompt_are_fitted_on_it_and_leave_the_weights_alone():
    tiny = TinyModel()
    prompt, guide = tiny.x[0, :12], MeanFieldGuide(tiny.decoder.z_shape)
    before = [parameter.clone() for parameter in tiny.model.parameters()]
    z = thoughts_from_prompt(tiny.model, guide, FastLoop(ELBO(), steps=40), prompt, 16)
    assert z.shape == (16, *tiny.decoder.z_shape)
    assert not z.requires_grad
    assert all(parameter.grad is None and parameter.requires_grad for parameter in tiny.model.parameters())
    assert all(torch.equal(old, new) for old, new in zip(before, tiny.model.parameters(), strict=True))
    assert len(guide.mu) == 16
    assert len(guide.mu.unique(dim=0)) == 16  # a posterior inference each
    with torch.no_grad():
        told, untold = (
            tiny.decoder.token_log_prob(prompt.expand(16, -1), thoughts).sum(-1).mean()
            for thoughts in (z, thoughts_from_prior(tiny.model, 16))
        )
    assert told > untold + 5


def test_a_model_without_thoughts_has_none_from_a_prompt():
    model = autoregressive_with()
    assert thoughts_from_prompt(model, None, FastLoop(ELBO(), steps=1), torch.tensor([1, 2]), 2) is None
