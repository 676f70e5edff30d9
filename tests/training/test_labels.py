"""Labels of training texts as the reward head takes them."""

import numpy as np
import pytest
import torch
from toys import TinyModel

from ltm_pyro import LatentThoughtModel
from ltm_pyro.data import Batch, Sequences
from ltm_pyro.data.annotations import Annotations
from ltm_pyro.errors import InputError
from ltm_pyro.models import CategoricalReward, GaussianReward
from ltm_pyro.training.labels import labelled_inputs, prepare_labels

VALUES = ("1.5", "2.5")


def model_with(head=None, **options):
    tiny = TinyModel(length=4)
    reward = None if head is None else head(tiny.decoder.z_shape, **options)
    return LatentThoughtModel(tiny.model.prior, tiny.decoder, reward=reward)


def sequences(**annotations):
    tokens, bounds = np.arange(8, dtype=np.uint16), np.array([0, 4, 8])
    names, previous = ["a", "b"], np.zeros(2, dtype=np.int64)
    own = Annotations(values=VALUES, **annotations)
    return Sequences(tokens, np.ones(8), bounds, previous, names, 4, 0, True, annotations=own)


def test_only_a_model_with_a_head_is_given_labels():
    labels = torch.tensor([1, -1])
    batch = sequences(labels=np.array([1, -1])).batch([0, 1])
    assert isinstance(batch, Batch)
    assert "r" not in labelled_inputs(model_with(), batch, VALUES)
    inputs = labelled_inputs(model_with(CategoricalReward), batch, VALUES)
    assert torch.equal(inputs["r"], labels)
    assert "prompts" not in inputs
    assert labelled_inputs(model_with(GaussianReward), batch, VALUES)["r"].nan_to_num(0).tolist() == [2.5, 0]
    assert labelled_inputs(model_with(CategoricalReward), batch._replace(labels=None), VALUES) == batch.inputs


def test_a_head_that_reads_prompts_is_given_their_lengths():
    batch = sequences(labels=np.array([1, 0]), prompts=np.array([2, 3])).batch([0, 1])
    inputs = labelled_inputs(model_with(CategoricalReward, prompt=True), batch, VALUES)
    assert inputs["prompts"].tolist() == [2, 3]


def test_texts_without_what_the_head_needs_are_refused():
    prepare_labels(model_with(), sequences())
    prepare_labels(model_with(CategoricalReward), sequences(labels=np.array([0, -1])))
    for annotations in ({}, {"labels": np.array([-1, -1])}):
        with pytest.raises(InputError, match="learns labels, and no training text has one"):
            prepare_labels(model_with(CategoricalReward), sequences(**annotations))
    with pytest.raises(InputError, match="reads prompts, and the texts have none: name their field"):
        prepare_labels(model_with(CategoricalReward, prompt=True), sequences(labels=np.array([0, 1])))
