"""Table of methods of inference-time computation, in Markdown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ltm_pyro.evaluation.shares import wilson
from ltm_pyro.tables import section

METHODS = {
    "rethinking-last": "rethinking, the last answer",
    "rethinking-elbo": "rethinking, the answer of the highest ELBO",
    "rethinking-predictive": "rethinking, the likeliest answer given the prompt",
    "vote": "majority vote, a fit of q for each attempt",
    "best-elbo": "best attempt by the ELBO",
    "best-predictive": "best attempt by log p(answer | prompt)",
    "one-fit": "majority vote, R + 1 draws from one fit of q",
    "greedy": "likeliest tokens, decoder at z = 0 (twin), no fit",
}
ONE = "one attempt: a fit of q to the prompt, one answer"


def method_records(judged: Sequence[Sequence[Mapping[str, Any]]], **settings: Any) -> list[dict[str, Any]]:
    """Records of accuracy by method and R, in percent of problems, with Wilson's 95 % interval.

    Args:
        judged: for each problem the records of `compare`, with `right` and `answered`, 0 or 1.
        settings: further columns, equal in all records.
    """
    groups: dict[tuple[str, int | None], list[Mapping[str, Any]]] = {}
    for problem in judged:
        for record in problem:
            groups.setdefault((record["method"], record["rounds"]), []).append(record)
    records = []
    for (method, rounds), group in groups.items():
        share = sum(record["right"] for record in group) / len(group)
        low, high = wilson(share, len(group))
        means = {name: sum(r[name] for r in group) / len(group) for name in ("attempts", "passes")}
        numbers = {"percent": 100 * share, "low": 100 * low, "high": 100 * high}
        answered = 100 * sum(record["answered"] for record in group) / len(group)
        counts = {"answered": answered, **means, "problems": len(group)}
        records.append({**settings, "method": method, "rounds": rounds, **numbers, **counts})
    return records


def methods_table(title: str, records: Sequence[Mapping[str, Any]], notes: Sequence[str] = ()) -> str:
    """Table with a row for each record of `method_records`, by R, and notes that define its columns.

    Args:
        title: of the table.
        records: with a column `group` if there are several settings, such as numbers of demonstrations.
        notes: further notes.
    """
    grouped = any("group" in record for record in records)
    header = ["", "R", *(["setting"] if grouped else []), "right, %", "answered, %", "attempts", "token-passes"]
    rows = []
    for record in sorted(records, key=lambda r: (-1 if r["rounds"] is None else r["rounds"], str(r.get("group", "")))):
        rounds = record["rounds"]
        name = ONE if rounds == 0 else METHODS[record["method"]]
        accuracy = f"{record['percent']:.2f} [{record['low']:.2f}, {record['high']:.2f}]"
        setting = [str(record.get("group", ""))] if grouped else []
        sizes = [f"{record['answered']:.1f}", f"{record['attempts']:.1f}", f"{record['passes']:,.0f}"]
        rows.append([name, "" if rounds is None else str(rounds), *setting, accuracy, *sizes])
    return section(title, [header, *rows], [*_notes(records), *notes])


def _notes(records: Sequence[Mapping[str, Any]]) -> list[str]:
    problems = max((record["problems"] for record in records), default=0)
    return [
        f"{problems:,} problems; in brackets Wilson's 95 % interval over problems, which are the same in all rows. "
        "Attempts and token-passes are means. A token-pass is a token that goes through the decoder once, "
        "forward or backward: those of fits, of answers, and of the scores that choose one.",
        "Votes and best attempts get the token-passes of rethinking R rounds on the same problem: attempts are begun "
        "until these are spent, and the last is finished. R + 1 draws from one fit take fewer.",
    ]
