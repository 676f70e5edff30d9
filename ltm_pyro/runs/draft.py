"""The draft run of speculative sampling."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from ltm_pyro.errors import InputError
from ltm_pyro.runs.loading import load, open_run
from ltm_pyro.training.run import Run

if TYPE_CHECKING:
    from ltm_pyro.generation import AcceptanceStats
    from ltm_pyro.training.build import RunComponents


class Draft(NamedTuple):
    """A draft's trained objects, the number of tokens it proposes at once, and the counts of its proposals."""

    components: RunComponents
    ahead: int
    tally: AcceptanceStats

    def remark(self) -> str:
        """One line with the number of proposals and the share that was accepted."""
        counts = self.tally
        if not counts.proposed:
            return "The draft proposed nothing."
        return (
            f"Of {counts.proposed} tokens that the draft proposed, {counts.accepted / counts.proposed:.0%} were "
            f"accepted; each pass of the run's own decoder wrote {counts.tokens / counts.passes:.1f} tokens of a text."
        )


def load_draft(run: Run, folder: Path | str, ahead: int, trust_code: bool = False) -> Draft:
    """The best checkpoint of a run, loaded as the draft of another run.

    Raises:
        InputError: if the folder is no run, or the two runs' tokenizers differ.
    """
    from ltm_pyro.generation import AcceptanceStats

    draft = open_run(folder, trust_code)
    if draft.tokenizer.backend.to_str() != run.tokenizer.backend.to_str():
        raise InputError(
            f"--draft {folder}: its tokenizer differs from that of {run.folder}, so that it cannot propose "
            f"tokens. Train a draft with the run's tokenizer: ltm train --data.tokenizer {run.folder}"
        )
    return Draft(load(draft, "best")[0], ahead, AcceptanceStats())
