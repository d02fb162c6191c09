"""Verdicts as a table, for a terminal and for docs/evidence."""

from collections.abc import Sequence

from tests.mutants.trial import Verdict

_COMMON = "tests/unit/raftbbs/"


def line(verdict: Verdict) -> str:
    """mutant → killed by → seeds needed; or what is wrong with it."""
    if verdict.complaints:
        return f"{verdict.mutant.name} → NOT KILLED: {'; '.join(verdict.complaints)}"
    return f"{verdict.mutant.name} → {_killers(verdict)} → {verdict.seeds}"


def summary(verdicts: Sequence[Verdict], seconds: float) -> str:
    alive = [verdict for verdict in verdicts if verdict.complaints]
    found = [verdict for verdict in verdicts if verdict.needed]
    tried = [verdict for verdict in verdicts if verdict.tried]
    fate = f"{len(alive)} NOT KILLED" if alive else "all of them killed"
    return (
        f"{len(verdicts)} mutants, {fate}; chance alone found {len(found)} of the {len(tried)} "
        f"that seeds were tried on; {seconds:.0f} s"
    )


def markdown(verdicts: Sequence[Verdict]) -> str:
    rows = [
        "| mutant | of | what it breaks | killed by | seeds needed |",
        "|---|---|---|---|---|",
        *(_row(verdict) for verdict in verdicts),
    ]
    return "\n".join(rows) + "\n"


def _row(verdict: Verdict) -> str:
    mutant = verdict.mutant
    killers = "<br>".join(f"`{_shortened(node)}`" for node in verdict.killers) or "seeds"
    if verdict.complaints:
        killers = "**nobody**: " + "; ".join(verdict.complaints)
    return f"| {mutant.name} | {mutant.of} | {mutant.breaks} | {killers} | {verdict.seeds} |"


def _killers(verdict: Verdict) -> str:
    return ", ".join(_shortened(node) for node in verdict.killers) or "seeds"


def _shortened(node: str) -> str:
    return node.removeprefix(_COMMON)
