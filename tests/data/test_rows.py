"""Fields of one row stay together."""

import json

import pytest

from ltm_pyro.data.rows import read_rows
from ltm_pyro.errors import InputError
from ltm_pyro.suites.gsm8k import final_number, read_problems, spelled

ROWS = [{"question": f"What is {n}?", "answer": f"It is {n}.\n#### {n}"} for n in range(1, 5)]


def written(path, rows):
    path.write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    return str(path)


def test_pairs_are_those_of_a_row(tmp_path):
    rows = list(read_rows(written(tmp_path / "a.jsonl", ROWS), ("question", "answer")))
    assert [texts for _, texts in rows] == [(row["question"], row["answer"]) for row in ROWS]
    assert rows[2][0].endswith("a.jsonl, line 3")


@pytest.mark.parametrize("gap", [{"answer": None}, {"question": ""}, {"answer": " \n"}, {"question": None}])
@pytest.mark.parametrize("place", [0, 2])
def test_a_row_that_lacks_one_is_refused_by_its_line_whatever_the_limit(tmp_path, gap, place):
    rows = [{**row, **gap} if i == place else row for i, row in enumerate(ROWS)]
    for limit in (None, 1):
        with pytest.raises(InputError, match=f"line {place + 1} has no {next(iter(gap))}"):
            read_problems(written(tmp_path / "a.jsonl", rows), limit)
    assert len(read_problems(written(tmp_path / "a.jsonl", ROWS), 1)) == 1


def test_other_formats_and_their_gaps(tmp_path):
    (tmp_path / "a.csv").write_text('question,answer\nWhat?,#### 1\nAnd?,""\n')
    with pytest.raises(InputError, match="row 2 has no answer"):
        read_problems(str(tmp_path / "a.csv"))
    (tmp_path / "a.json").write_text(json.dumps([*ROWS, {"question": "What?"}]))
    with pytest.raises(InputError, match=r"no field 'answer'.*Each row needs 'question' and 'answer'"):
        read_problems(str(tmp_path / "a.json"))
    (tmp_path / "a.txt").write_text("What? #### 1")
    with pytest.raises(InputError, match="plain text; expected a file with the fields question, answer"):
        read_problems(str(tmp_path / "a.txt"))
    one, two = tmp_path / "both" / "1.jsonl", tmp_path / "both" / "2.jsonl"
    one.parent.mkdir()
    written(one, ROWS[:2])
    written(two, ROWS[2:])
    assert [problem.number for problem in read_problems(str(one.parent))] == [1, 2, 3, 4]


WHOLE = {
    "1/2": "0.5", "2 / 3": "2/3", "1e3": "1000", "1.5E2": "150", "1 000": "1000", "1\u202f000\u202f000": "1000000",
    "1,234.50": "1234.5", "+5": "5", "€12": "12", "£ 7": "7", "7 €": "7", "-.5": "-0.5", "\u22125": "-5", "-$3": "-3",
    "$-3": "-3", "50%": "50", "12.": "12", "12 apples": "12", "-1/4": "-0.25",
}  # fmt: skip
REFUSED = [
    "3,5",
    "1,25",
    "12,3456",
    "1 1/2",
    "1 2",
    "3 million",
    "2 dozen",
    "5 and a half",
    "9" * 5000,
    "5/0",
    "1.2.3",
    "5-3",
    "x",
    "",
]


@pytest.mark.parametrize("text", WHOLE)
def test_a_number_is_read_whole(text):
    assert spelled(final_number(f"so\n#### {text}\nand on")) == WHOLE[text]


@pytest.mark.parametrize("text", REFUSED)
def test_what_is_not_one_number_is_none_of_its_parts(tmp_path, text):
    assert final_number(f"#### {text}") is None
    rows = [*ROWS, {"question": "What?", "answer": f"#### {text}"}]
    with pytest.raises(InputError, match="line 5: its answer has"):
        read_problems(written(tmp_path / "a.jsonl", rows), 1)
