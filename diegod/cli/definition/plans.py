"""Plans on stdout: lines for people, one object each for programs; and the end of a refused one."""

from collections.abc import Iterator, Sequence
from typing import Any

from diegod.cli.record.views import instances_text
from diegod.cli.terminal.errors import REFUSED, CliError, one_line
from diegod.cli.terminal.render import View, print_rows
from diegod.cli.terminal.session import Output, Session
from diegod.models.plan import Action, InstanceStep, Plan, Step

#: Of `plan --exit-code`: apply would change something.
WOULD_CHANGE = 10


def refuse(plans: Sequence[Plan]) -> None:
    """CliError if apply would be refused."""
    refused = [each.refusal for each in plans if each.refusal]
    if refused:
        raise CliError("apply would be refused", REFUSED, refused)


def print_plans(
    session: Session, plans: Sequence[Plan], apply: str, *, can_name_revision: bool = True
) -> None:
    """`apply`: the command line that would do all of it; of one LRP, as it was seen here."""
    if session.output not in (Output.TABLE, Output.WIDE):
        print_rows(session, _VIEW, list(plans))
        return
    for plan in plans:
        if not plan.refusal:
            for line in plan_lines(plan):
                print(one_line(line) if not line.startswith("  ") else f"  {one_line(line)}")
    if any(plan.refusal for plan in plans) or not any(plan.changes_something for plan in plans):
        return
    at = f" --at {plans[0].revision}" if can_name_revision and len(plans) == 1 else ""
    session.say(f"\nDo it with: {apply}{at}")


def plan_lines(plan: Plan) -> Iterator[str]:
    """The headline, then what changes, what becomes of each instance, and how."""
    yield f"{plan.name}: {_headline(plan)}"
    if plan.changes_something:
        for change in plan.changes:
            if plan.action is Action.CREATE:
                yield f"  {change.path}: {change.new}"
            else:
                yield f"  {change}"
    for step in plan.steps:
        yield f"  {_step_line(plan.name, step)}"
    for note in plan.notes:
        yield f"  {note}"


def _headline(plan: Plan) -> str:
    if not plan.changes_something:
        return "no change"
    if plan.kind != "lrp":
        return f"{plan.kind}, {plan.action.value}"
    counted = ", ".join(_counted(plan.steps))
    version = f", version {plan.version}" if plan.action is not Action.SCALE else ""
    return f"{plan.action.value}{version}: {counted or 'no instance'}"


def _counted(steps: Sequence[InstanceStep]) -> Iterator[str]:
    """`2 instances replaced, 1 instance created`."""
    words = {Step.CREATED: "created", Step.STOPPED: "stopped"}
    counts: dict[str, int] = {}
    for each in steps:
        word = words.get(each.step, "replaced")
        counts[word] = counts.get(word, 0) + 1
    for word in ("replaced", "created", "stopped"):
        if word in counts:
            yield f"{instances_text(counts[word])} {word}"


def _step_line(name: str, step: InstanceStep) -> str:
    where = f"  ({step.state} on {step.cell_id})" if step.cell_id else ""
    if step.state and not step.cell_id:
        where = f"  ({step.state})"
    return f"{name}/{step.index}  {step.step.value}{where}"


def _form(plan: Plan) -> dict[str, Any]:
    return {
        "kind": plan.kind,
        "name": plan.name,
        "action": plan.action.value,
        "revision": plan.revision,
        "version": plan.version,
        "changes": [{"path": c.path, "old": c.old, "new": c.new} for c in plan.changes],
        "instances": [
            {
                "index": each.index,
                "step": each.step.name,
                "state": each.state or None,
                "cell_id": each.cell_id or None,
            }
            for each in plan.steps
        ],
        "notes": list(plan.notes),
        "refusal": plan.refusal,
    }


_VIEW: View[Plan] = View(columns=[], name=lambda plan: plan.name, form=_form)
