"""Measures of written text against values by hand."""

import math
import os

import numpy as np
import pytest
import torch

from ltm_pyro import InputError
from ltm_pyro.generation import crossing, great_circle
from ltm_pyro.suites.generation import (
    Embedder,
    Judge,
    Sample,
    distinct,
    entropy,
    mauve_score,
    mean_interval,
    measure,
    ratio_interval,
    repetition,
    self_bleu,
    table,
    words,
)
from ltm_pyro.suites.generation.bootstrap import jackknife_interval

TEXTS = ["the war and the peace", "a union of people , the people", "peace", "the the the the the the"]


@pytest.fixture(scope="module")
def judge_folder(tmp_path_factory):
    """A tiny random model of transformers with a tokenizer of words."""
    transformers = pytest.importorskip("transformers")
    import tokenizers

    folder = tmp_path_factory.mktemp("judge")
    known = ["<end>", "?", *sorted({word for text in TEXTS for word in words(text)})]
    backend = tokenizers.Tokenizer(tokenizers.models.WordLevel({w: i for i, w in enumerate(known)}, unk_token="?"))
    backend.pre_tokenizer = tokenizers.pre_tokenizers.Whitespace()
    fast = transformers.PreTrainedTokenizerFast(
        tokenizer_object=backend, bos_token="<end>", eos_token="<end>", unk_token="?"
    )
    fast.save_pretrained(folder)
    torch.manual_seed(0)
    config = transformers.GPT2Config(
        vocab_size=len(known), n_positions=12, n_embd=16, n_layer=2, n_head=2, bos_token_id=0, eos_token_id=0
    )
    model = transformers.GPT2LMHeadModel(config).double()
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.5)
    model.float().save_pretrained(folder)
    return folder


def test_a_judge_loads_without_bars_and_leaves_their_setting(judge_folder, capfd):
    from transformers.utils import logging

    for shown in (True, False):
        (logging.enable_progress_bar if shown else logging.disable_progress_bar)()
        Judge(str(judge_folder))
        assert logging.is_progress_bar_enabled() is shown
        logging.enable_progress_bar()
    assert "%|" not in capfd.readouterr().err


def by_hand(judge, sample):
    """Token by token, one text at a time, without padding."""
    told = [0, *judge.tokenizer.encode(sample.prompt, add_special_tokens=False)]
    text = judge.tokenizer.encode(sample.text, add_special_tokens=False)
    total = 0.0
    for place, token in enumerate(text):
        logits = judge.model(input_ids=torch.tensor([told + text[:place]])).logits[0, -1].double()
        total -= torch.log_softmax(logits, -1)[token].item()
    return total, len(text)


@pytest.mark.parametrize("batch_size", [1, 2, 8])
def test_a_judges_perplexity_is_that_by_hand_in_any_batch(judge_folder, batch_size):
    judge = Judge(str(judge_folder))
    samples = [*(Sample("", text) for text in TEXTS), Sample("the war and", "the people")]
    expected = [by_hand(judge, sample) for sample in samples]
    nats, counts = judge.nats(samples, batch_size)
    assert counts == [count for _, count in expected]
    np.testing.assert_allclose(nats, [nat for nat, _ in expected], rtol=1e-4)
    found = measure(samples, [], judge)["perplexity"].value
    assert found == pytest.approx(math.exp(sum(n for n, _ in expected) / sum(c for _, c in expected)), rel=1e-4)


def test_what_a_judge_is_too_short_for_is_left_out(judge_folder):
    judge = Judge(str(judge_folder))
    long = Sample("", " ".join(["peace"] * 40))
    nats, counts = judge.nats([long])
    assert counts == [11]  # 12 places, of which the first begins the text
    assert nats[0] == pytest.approx(by_hand(judge, Sample("", " ".join(["peace"] * 11)))[0], rel=1e-4)
    _, counts = judge.nats([Sample(" ".join(["war"] * 40), "the people")])
    assert counts == [2]


def test_what_is_no_judge_is_refused(tmp_path):
    with pytest.raises(InputError, match="cannot be loaded as a judge"):
        Judge(str(tmp_path))


def test_variety_by_hand():
    assert words("It's 3.5, no?") == ["It", "'", "s", "3", ".", "5", ",", "no", "?"]
    assert entropy("a b c d") == pytest.approx(math.log(4))
    assert entropy("a a a b") == pytest.approx(-(0.75 * math.log(0.75) + 0.25 * math.log(0.25)))
    assert entropy("the the the") == 0
    assert math.isnan(entropy(""))
    assert repetition("a b c d a b c d", 4) == pytest.approx(1 / 5)
    assert repetition("a b c d e f", 4) == 0
    assert math.isnan(repetition("a b"))
    assert distinct(["a b c", "a b d"], 2) == pytest.approx(3 / 4)
    assert distinct(["a b c", "a b c"], 2) == pytest.approx(2 / 4)


def test_self_bleu_by_hand():
    pytest.importorskip("sacrebleu")
    alike, other = self_bleu(["a b c d e"] * 3), self_bleu(["a b c d e", "f g h i j", "k l m n o"])
    assert alike == pytest.approx([100.0] * 3)
    assert max(other) < 15  # smoothed, not zero
    one, _ = self_bleu(["a b c d e f", "a b c d x y"])
    precisions = (4 / 6, 3 / 5, 2 / 4, 1 / 3)
    assert one == pytest.approx(100 * math.prod(precisions) ** 0.25, rel=1e-6)


def test_bootstrap_intervals_cover():
    """Of 200 sets of 40 exponential values some 95 % hold the truth; an interval half as wide does not."""
    choose = np.random.default_rng(0)
    held = narrow = 0
    for seed in range(200):
        interval = mean_interval(choose.exponential(size=40).tolist(), seed)
        held += interval.low < 1 < interval.high
        half = (interval.high - interval.low) / 4
        narrow += abs(interval.value - 1) < half
    assert 174 <= held <= 199
    assert narrow < 160


def test_a_perplexitys_interval_is_of_the_ratio():
    nats, tokens = [2.0, 30.0, 8.0], [1, 10, 4]
    interval = ratio_interval(nats, tokens)
    assert interval.value == pytest.approx(math.exp(40 / 15))
    assert interval.low < interval.value < interval.high
    assert math.isnan(ratio_interval([1.0], [1]).low)
    assert mean_interval([1.0, math.nan, 3.0]).value == 2


def test_the_jackknife_of_a_mean_is_its_standard_error():
    values = np.array([1.0, 2.0, 4.0, 8.0])
    interval = jackknife_interval(lambda places: float(values[list(places)].mean()), 4)
    assert interval.high - interval.value == pytest.approx(1.96 * values.std(ddof=1) / 2)


def test_mauve_is_high_for_texts_of_one_kind_and_low_for_others():
    pytest.importorskip("mauve")
    choose = np.random.default_rng(0)
    same, again = (choose.normal(size=(60, 6)).astype("float32") for _ in range(2))
    assert mauve_score(same, same).value > 0.99
    assert mauve_score(again, same).value > 0.6
    far = mauve_score(again + 20, same)
    assert far.value < 0.1
    assert far.low <= far.value <= far.high
    assert math.isnan(mauve_score(same[:4], same).value)


def test_mauve_says_nothing_and_leaves_the_streams_as_they_were(capfd):
    pytest.importorskip("mauve")
    points = np.random.default_rng(0).normal(size=(60, 6)).astype("float32")
    mauve_score(points, points)
    os.write(2, b"still here")
    print("and here")
    assert capfd.readouterr() == ("and here\n", "still here")


def test_an_embedding_does_not_depend_on_the_batch(judge_folder):
    embedder = Embedder(str(judge_folder))
    np.testing.assert_allclose(embedder.embed(TEXTS, 1), embedder.embed(TEXTS, 4), atol=1e-5)
    assert embedder.embed(TEXTS).shape == (4, 16)


def test_repetition_lowers_entropy_and_the_table_says_why_that_matters():
    found = {"real": measure([Sample("", t) for t in TEXTS[:3]], []), "loop": measure([Sample("", TEXTS[3])] * 3, [])}
    assert found["loop"]["entropy"].value == 0 < found["real"]["entropy"].value
    assert found["loop"]["repetition"].value > found["real"]["repetition"].value
    text = table(found, {"real": 3, "loop": 3}, ["No judge."])
    assert "text that repeats itself" in text
    assert "No judge." in text


def test_the_great_circle_keeps_the_length_and_joins_the_ends():
    torch.manual_seed(0)
    one, two = torch.randn(2, 5, 2, 3, 40, dtype=torch.float64)
    one, two = (z / z.flatten(1).norm(dim=1).view(-1, 1, 1, 1) for z in (one, two))
    for share in (0.0, 0.3, 0.5, 1.0):
        norm = great_circle(one, two, share).flatten(1).norm(dim=1)
        torch.testing.assert_close(norm, torch.ones_like(norm))
    torch.testing.assert_close(great_circle(one, two, 0.0), one)
    torch.testing.assert_close(great_circle(one, two, 1.0), two)
    middle = great_circle(one, two, 0.5)
    cosines = [torch.nn.functional.cosine_similarity(middle.flatten(1), end.flatten(1)) for end in (one, two)]
    torch.testing.assert_close(*cosines)
    torch.testing.assert_close(great_circle(one, one, torch.full((5,), 0.4, dtype=torch.float64)), one)
    straight = (one + two) / 2
    assert straight.flatten(1).norm(dim=1).max() < 0.9


def test_a_crossing_takes_whole_codes_from_one_text_or_the_other():
    torch.manual_seed(0)
    codes = torch.randint(8, (2, 400, 2, 3))
    one, two = torch.nn.functional.one_hot(codes, 8).float()
    share = torch.tensor([0.25, 0.75]).repeat_interleave(200)
    between = crossing(one, two, share)
    assert between.sum(-1).eq(1).all()
    assert between.max(-1).values.eq(1).all()
    taken, differ = (between == two).all(-1), (one != two).any(-1)
    for begun, expected in ((0, 0.25), (200, 0.75)):
        part = taken[begun : begun + 200][differ[begun : begun + 200]].float()
        assert abs(part.mean() - expected) < 4 * (expected * (1 - expected) / len(part)) ** 0.5
    torch.testing.assert_close(crossing(one, two, 0.0), one)
    torch.testing.assert_close(crossing(one, two, 1.0), two)
    assert great_circle(one, two, share).max(-1).values.min() < 1  # which would be no codes


def test_a_judge_tells_how_far_it_has_come(judge_folder):
    heard = []
    measure([Sample("", text) for text in TEXTS] * 5, [], Judge(str(judge_folder)), listen=heard.append)
    assert heard == [8, 16, 20]
