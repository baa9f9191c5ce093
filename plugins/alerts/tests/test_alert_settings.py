"""Settings: what the user changes counts, what makes no sense is refused in one line that says where."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import attrs
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from seisproc_alerts.rules import Rule, Severity
from seisproc_alerts.settings import defaults, load
from seisproc_core.errors import UsageError
from seisproc_core.plugins import registry


def loaded(folder: Path, text: str | bytes) -> object:
    file = folder / "alerts.toml"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    return load(registry())


def test_without_a_file_everything_is_as_delivered(state: Path) -> None:
    found = load(registry())
    assert found == defaults(registry())
    rules = found.rules
    assert set(rules) >= {"memory-high", "memory-critical", "job-stuck", "job-failed", "repeated-failures"}
    assert [getattr(rules[name], "percent", None) for name in ("memory-high", "memory-critical")] == [85, 95]
    assert getattr(rules["job-stuck"], "seconds", None) == 300
    assert {rule.cooldown_s for name, rule in rules.items() if "seisproc" not in name} == {60}
    assert set(found.channels) >= {"log", "terminal"}
    assert "desktop" not in found.channels


def test_every_setting_can_be_changed(state: Path) -> None:
    state.mkdir()
    (state / "alerts.toml").write_text("""
        [rules.memory-high]
        percent = 70
        severity = "info"
        message = "full to {percent} %"
        cooldown_s = 5.5
        repeat_s = 600

        [rules.job-failed]
        enabled = false

        [channels]
        terminal = false
        desktop = true
    """)
    found = load(registry())
    rule, was = found.rules["memory-high"], defaults(registry()).rules["memory-high"]
    changed = {"percent": 70.0, "severity": Severity.INFO, "message": "full to {percent} %"}
    assert rule == attrs.evolve(was, **changed, cooldown_s=5.5, repeat_s=600.0)
    assert not found.rules["job-failed"].enabled
    assert {"log", "desktop"} <= set(found.channels)
    assert "terminal" not in found.channels


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[rules.memory-hihg]\npercent = 1", "rules.memory-hihg is not known; did you mean memory-high"),
        ("[rules.memory-high]\npercnt = 1", "rules.memory-high.percnt is not known; did you mean percent"),
        ("[rules.memory-high]\npercent = '1'", "rules.memory-high.percent: must be a number, not '1'"),
        ("[rules.memory-high]\npercent = true", "rules.memory-high.percent: must be a number, not True"),
        ("[rules.memory-high]\npercent = nan", "rules.memory-high.percent: must be a number"),
        ("[rules.memory-high]\npercent = 101", "rules.memory-high: 'percent' must be <= 100"),
        ("[rules.memory-high]\nseverity = 'bad'", "must be one of info, warning, critical, not 'bad'"),
        ("[rules.memory-high]\nseverity = []", "must be one of info, warning, critical"),
        ("[rules.memory-high]\nmessage = '{pc}'", "{pc} is not known in this message; use {percent}"),
        ("[rules.memory-high]\nmessage = '{percent.real}'", None),
        ("[rules.memory-high]\nenabled = 1", "rules.memory-high.enabled: must be true or false, not 1"),
        ("[rules.repeated-failures]\nof = 2.5", "rules.repeated-failures.of: must be a whole number, not 2.5"),
        ("[rules.repeated-failures]\nof = 2", "failures = 3 is more than of = 2"),
        ("[rules.job-stuck]\ncooldown_s = -1", "rules.job-stuck: cooldown_s must be from 0 to 86400 (a day)"),
        ("[channels]\nlog = 'yes'", "channels.log must be true or false, not 'yes'"),
        ("[channels]\npager = true", "channels.pager is not known; there are desktop"),
        ("rules = 3", "rules must be a table"),
        ("[rules]\nmemory-high = 3", "rules.memory-high must be a table"),
        ("[rule.memory-high]", "rule is not known; did you mean rules?"),
        ("[rules", "is not valid TOML"),
        (b"\xff", "is not text in UTF-8 (byte 0)"),
        ("x = " + "[" * 100_000, "is not valid TOML"),
        (b"#" * (2 << 20), "too large"),
    ],
    ids=lambda value: str(value)[:30],
)
def test_what_makes_no_sense_is_refused(state: Path, text: str | bytes, message: str | None) -> None:
    if message is None:  # a message may hold what only looks like a place
        loaded(state, text)
        return
    with pytest.raises(UsageError) as refused:
        loaded(state, text)
    said = str(refused.value)
    assert message in said
    assert said.startswith(f"{state / 'alerts.toml'}")
    assert "\n" not in said


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
@given(
    st.one_of(
        st.binary(max_size=200),
        st.builds(
            "[rules.{}]\n{} = {}\n".format,
            st.sampled_from(["memory-high", "job-stuck", "repeated-failures", "x"]),
            st.sampled_from(["percent", "seconds", "of", "severity", "message", "enabled", "cooldown_s", "values"]),
            st.sampled_from(["1", "-1", "1e400", "nan", "[]", "{}", "''", "'{0.x}'", "2020-01-01", "true", "9" * 5000]),
        ),
    )
)
def test_any_file_gives_settings_or_one_line(state: Path, text: bytes | str) -> None:
    try:
        loaded(state, text)
    except UsageError as error:
        assert "\n" not in str(error)


def test_a_file_that_cannot_be_read_is_an_error(state: Path) -> None:
    (state / "alerts.toml").mkdir(parents=True)
    with pytest.raises(UsageError, match="is not a settings file"):
        load(registry())


BAD_RULES = """
    import attrs
    from seisproc_core.hookspecs import hookimpl
    from seisproc_core.specs import AlertRuleSpec
    from seisproc_alerts.rules import Rule

    @attrs.frozen(kw_only=True)
    class Bare(Rule):
        limit: float

    @attrs.frozen(kw_only=True)
    class Odd(Rule):
        message: str = "{what}"

    class NoRule:
        pass

    @hookimpl
    def seisproc_alert_rules():
        names = ("Bare", "Odd", "NoRule", "Missing")
        return [AlertRuleSpec(id=name.lower(), impl=f"{__name__}:{name}", summary="") for name in names]
"""


def test_rules_that_cannot_be_used_are_left_out_and_named(state: Path, install: Callable[[str, str], None]) -> None:
    install("odd-rules", BAD_RULES)
    found = load(registry())
    assert not {"bare", "odd", "norule", "missing"} & set(found.rules)
    assert all(isinstance(rule, Rule) for rule in found.rules.values())
    text = "\n".join(found.problems)
    assert "rule 'bare' of odd-rules: its setting limit has no default" in text
    assert "rule 'odd' of odd-rules: its defaults do not work" in text
    assert "is not a class derived from seisproc_alerts.rules.Rule" in text
    assert "cannot load odd_rules.plugin:Missing" in text
