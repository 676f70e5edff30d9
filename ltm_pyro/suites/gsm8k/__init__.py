"""GSM8K, few-shot arithmetic word problems (Cobbe et al., 2021, arXiv 2110.14168)."""

from ltm_pyro.suites.gsm8k.answers import (
    commonest_answer,
    final_number,
    final_number_written,
    occurs,
    spelled,
)
from ltm_pyro.suites.gsm8k.attempts import Attempted, judged
from ltm_pyro.suites.gsm8k.pass_at_k import mean_pass_at_k, pass_at_k
from ltm_pyro.suites.gsm8k.problems import Problem, read_problems
from ltm_pyro.suites.gsm8k.prompts import Prompt, few_shot_prompt
from ltm_pyro.suites.gsm8k.suite import evaluate
from ltm_pyro.suites.gsm8k.table import MEASURES, score_records, table

__all__ = [
    "MEASURES",
    "Attempted",
    "Problem",
    "Prompt",
    "commonest_answer",
    "evaluate",
    "few_shot_prompt",
    "final_number",
    "final_number_written",
    "judged",
    "mean_pass_at_k",
    "occurs",
    "pass_at_k",
    "read_problems",
    "score_records",
    "spelled",
    "table",
]
