"""Parameter tests: a flow on chosen gathers, once for each of several values of its parameters.

>>> from seisproc_qc.trials import parameter_test
>>> trials = parameter_test("line.toml", {"decon.gap_ms": [8, 16, 32]}, {"cdp": [400, 900]})    # doctest: +SKIP
>>> [(trial.title, trial.figures["rms"]) for trial in trials]                                   # doctest: +SKIP
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import attrs
import numpy as np

from seisproc_core.data.gather import Gather
from seisproc_core.data.survey import MemorySurvey, Survey
from seisproc_core.data.tables import Table
from seisproc_core.errors import ParameterError, UsageError
from seisproc_core.jobs.engine import Engine
from seisproc_core.plugins import registry
from seisproc_core.processing.flow import Flow, word_list
from seisproc_core.processing.ordering import gather_order
from seisproc_core.processing.planning import plan_flow
from seisproc_qc import measures
from seisproc_qc.choosing import Wanted
from seisproc_qc.running import MOST_BYTES, chosen, in_memory, run, wanted

Against = Literal["first", "base"]
MOST_TRIALS = 64


@attrs.frozen(kw_only=True, eq=False)
class Trial:
    """The chosen gathers, made with one value of each varied parameter.

    Attributes
    ----------
    values
        By ``step.parameter``; a parameter that the flow does not give, and that has no default, is None.
    gather
        The chosen gathers after the last step, laid end to end.
    difference
        `gather` minus that of the trial it is compared with; None for that trial itself, and where rows or samples do
        not correspond.
    figures
        ``traces``, ``rms``, ``dominant_hz``; with a difference also ``change_percent`` (its rms over that of the other
        trial) and ``leakage`` (see `seisproc_qc.measures.leakage`), else None.
    """

    values: Mapping[str, Any]
    gather: Gather
    difference: Gather | None
    figures: Mapping[str, Any]

    @property
    def title(self) -> str:
        """``gap_ms = 16``, a line per parameter."""
        return "\n".join(f"{name.partition('.')[2]} = {shown(value)}" for name, value in self.values.items())


def parameter_test(
    flow: Flow | str | os.PathLike[str],
    vary: Mapping[str, Sequence[Any]],
    at: Wanted,
    *,
    until: str | None = None,
    against: Against = "first",
) -> list[Trial]:
    """Run a flow on chosen gathers with several values of its parameters.

    Everything is checked before a sample is read. Steps before the first varied one are computed once. A gather that
    an earlier step needs whole (the shot of a trace, for a dip filter on shots) is read whole; only what was asked for
    is returned.

    Parameters
    ----------
    flow
        A flow or the path of one; its sink is not written.
    vary
        Values to try by ``step.parameter`` (``step#2.parameter`` for the second of that name), plain values as a flow
        file has them. Several parameters are tried in all combinations, the last one fastest.
    at
        Gathers to look at: values of header words, or ``(lowest, highest)``; several words must all match.
    until
        Stop after this step instead of after the last.
    against
        What differences are taken against: the first value, or ``base``, the flow as it stands, which then comes first.

    Raises
    ------
    UsageError
        Anything that is wrong with flow, parameters, values or gathers; names it.
    """
    loaded = flow if isinstance(flow, Flow) else Flow.load(flow)
    if not vary:
        raise UsageError("name a parameter to vary, and its values")
    places = {name: _place(loaded, name) for name in vary}
    loaded = _until(loaded, until, max(step for step, _ in places.values()))
    made = [dict(zip(vary, values, strict=True)) for values in itertools.product(*vary.values())]
    if not 0 < len(made) <= MOST_TRIALS:
        raise UsageError(f"{len(made)} combinations of values: 1 to {MOST_TRIALS} can be tried at once")
    flows = [with_values(loaded, places, values) for values in made]
    if against == "base":
        base = {name: _current(loaded, *place) for name, place in places.items()}
        made, flows = [base, *made], [loaded, *flows]
    gathers = _results(flows, chosen(loaded, at), first=min(step for step, _ in places.values()))
    shown_rows = [wanted(gather, at) for gather in gathers]
    return [_trial(values, gather, shown_rows[0]) for values, gather in zip(made, shown_rows, strict=True)]


# -------------------------------------------------------------------------------------- steps, parameters and values


def _place(flow: Flow, name: str) -> tuple[int, str]:
    """Position of the step and name of the parameter of ``step.parameter``."""
    owner, dot, parameter = name.partition(".")
    if not dot or not parameter:
        raise UsageError(f"'{name}': write step.parameter, e.g. agc.window_ms")
    return find_step(flow, owner), parameter


def find_step(flow: Flow, name: str) -> int:
    """Position of a step called ``use``, or ``use#2`` for the second of that name."""
    use, sharp, number = name.partition("#")
    found = [position for position, step in enumerate(flow.steps) if step.use == use]
    if not found:
        raise UsageError(
            f"flow {flow.name} has no step '{use}'; it has {', '.join(s.use for s in flow.steps) or 'none'}"
        )
    if sharp:
        if not number.isdecimal() or not 1 <= int(number) <= len(found):
            raise UsageError(f"'{name}': flow {flow.name} has {len(found)} steps '{use}', numbered from 1")
        return found[int(number) - 1]
    if len(found) > 1:
        raise UsageError(f"flow {flow.name} has {len(found)} steps '{use}': name one, as {use}#1")
    return found[0]


def with_values(flow: Flow, places: Mapping[str, tuple[int, str]], values: Mapping[str, Any]) -> Flow:
    """The flow with other values of some parameters."""
    steps = list(flow.steps)
    for name, (position, parameter) in places.items():
        step = steps[position]
        steps[position] = attrs.evolve(step, parameters={**step.parameters, parameter: values[name]})
    return attrs.evolve(flow, steps=tuple(steps))


def _until(flow: Flow, until: str | None, last_varied: int) -> Flow:
    if until is None:
        return flow
    end = find_step(flow, until)
    if end < last_varied:
        raise UsageError(f"step '{until}' comes before '{flow.steps[last_varied].use}', which is to be varied")
    return attrs.evolve(flow, steps=flow.steps[: end + 1])


def _current(flow: Flow, position: int, parameter: str) -> Any:
    """The value of a parameter as the flow stands: given, or its default."""
    from seisproc_core.processing.params import fields_of

    step = flow.steps[position]
    if parameter in step.parameters or step.use == "sort":
        return step.parameters.get(parameter)
    known = fields_of(registry().load("processors", step.use))
    if parameter not in known:
        raise ParameterError(step.use, parameter, f"is not known; it has: {', '.join(known) or 'none'}")
    default = known[parameter][0].default
    return None if default is attrs.NOTHING else default


def shown(value: Any) -> str:
    """A value for titles: numbers short, tables by what they hold."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, (int, float)):
        return f"{value:g}"
    if isinstance(value, Table):
        value = value.to_json()
    if isinstance(value, Mapping):
        return "; ".join(f"{key} {shown(item)}" for key, item in value.items())
    if isinstance(value, (list, tuple)):
        short = [shown(item) for item in value]
        return " ".join(short if len(short) <= 4 else [*short[:2], "...", short[-1]])
    return str(value)


# ------------------------------------------------------------------------------------------------------- computation


def _results(flows: Sequence[Flow], chosen: Survey, first: int) -> list[Gather]:
    """What each flow makes of the chosen traces; flows differ from step `first` on."""
    known = registry()
    plans = [plan_flow(in_memory(flow, chosen), known, chosen) for flow in flows]  # says what is wrong with any
    size = sum(4 * plan.stages[-1].output.n_traces * plan.stages[-1].output.sampling.count for plan in plans)
    if size > MOST_BYTES:
        raise UsageError(f"the results would take {size >> 20} MiB, more than {MOST_BYTES >> 20}: choose fewer gathers")
    everything = chosen.read(np.arange(chosen.n_traces))
    start: Survey = MemorySurvey(attrs.evolve(everything, raw_samples=None), chosen.info)
    with Engine(executor="in-process") as engine:
        made = []
        common = _common(engine, flows[0], start, first)
        for flow in flows:
            rest = in_memory(flow, start) if common is None else _from(flow, common, first)
            made.append(run(engine, rest))
    return made


def _common(engine: Engine, flow: Flow, start: Survey, first: int) -> Survey | None:
    """The traces before step `first`; None where they would not gather again as they do inside the flow.

    That is so when an earlier step changed the words that gather or sort: then each flow is run from its start.
    """
    if first == 0:
        return start
    head = attrs.evolve(in_memory(flow, start), steps=flow.steps[:first])
    last = plan_flow(head, engine.registry, start).stages[-1]
    made = MemorySurvey(run(engine, head))
    order, starts = gather_order(made.headers(), *_words_at(flow, first))
    planned = None if last.out_starts is None else np.unique(last.out_starts)
    again = np.arange(made.n_traces + 1) if starts is None else starts
    same = order is None and (planned is None or np.array_equal(planned, again))
    return made if same else None


def _words_at(flow: Flow, position: int) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Gather and sort words in force before a step."""
    sorts = [step for step in flow.steps[:position] if step.use == "sort"]
    if not sorts:
        return flow.source.gather, flow.source.sort
    gather, sort = (word_list("step 'sort'", key, sorts[-1].parameters.get(key, [])) for key in ("gather", "sort"))
    return gather, sort


def _from(flow: Flow, survey: Survey, first: int) -> Flow:
    gather, sort = _words_at(flow, first)
    source = attrs.evolve(flow.source, gather=gather, sort=sort)
    return in_memory(attrs.evolve(flow, source=source, steps=flow.steps[first:]), survey)


def _trial(values: Mapping[str, Any], gather: Gather, other: Gather) -> Trial:
    difference = None
    same_axis = gather.sampling == other.sampling and gather.n_traces == other.n_traces
    if gather is not other and same_axis:
        difference = gather.with_traces(gather.traces - other.traces)
    figures: dict[str, Any] = {
        "traces": gather.n_traces,
        "rms": measures.rms(gather),
        "dominant_hz": measures.dominant_frequency(gather),
        "change_percent": None,
        "leakage": None,
    }
    if difference is not None:
        before = measures.rms(other)
        figures["change_percent"] = 100 * measures.rms(difference) / before if before > 0 else None
        figures["leakage"] = measures.leakage(gather, difference)
    return Trial(values=values, gather=gather, difference=difference, figures=figures)
