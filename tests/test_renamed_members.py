"""A class of one's own that has a member by its old name is told the new one."""

import pytest

from ltm_pyro import AbstractDecoder, AbstractGuide, AbstractPrior
from ltm_pyro.errors import InputError
from ltm_pyro.renamed_members import RENAMED


@pytest.mark.parametrize("base", [AbstractGuide, AbstractPrior])
@pytest.mark.parametrize("old", list(RENAMED))
def test_an_old_name_is_refused(base, old):
    with pytest.raises(InputError, match=rf"Mine\.{old}: this member is called {RENAMED[old]} now"):
        type("Mine", (base,), {old: lambda self: None})


def test_the_new_names_are_there():
    assert {"after_fit", "backward_guide", "needs_unrolled"} <= set(dir(AbstractGuide))
    assert "on_slow_step" in dir(AbstractPrior)


def test_an_old_argument_of_a_decoder_is_refused():
    with pytest.raises(InputError, match=r"Mine\.__init__: the argument begin is called bos_id now"):

        class Mine(AbstractDecoder):
            def __init__(self, vocabulary, length, begin=0):
                super().__init__((1, 1, 4), vocabulary, length, begin)
