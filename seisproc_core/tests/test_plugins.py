"""Discovery: broken plugins are set aside whole, clashes name both sides, listings import nothing."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from seisproc_core import plugins
from seisproc_core.errors import UsageError

POLARITY = """
    import numpy as np
    from seisproc_core import Context, Gather, Processor, hookimpl, param, processor

    @processor("{id}", scope="trace")
    class Polarity(Processor):
        \"\"\"Flip the polarity of chosen channels.\"\"\"

        channels: tuple[int, ...] = param((), help="channel numbers to flip")

        def apply(self, batch: Gather, context: Context) -> Gather:
            out = context.empty(batch.traces.shape)
            flip = np.isin(batch.headers["channel"], self.channels)
            np.multiply(batch.traces, np.where(flip, -1, 1)[:, None], out=out)
            return batch.with_traces(out)

    @hookimpl
    def seisproc_processors():
        return [Polarity]
"""
Install = Callable[[str, str], Path]


def status(name: str) -> plugins.PluginStatus:
    return next(p for p in plugins.registry().plugins if p.distribution == name)


def test_a_processor_is_found_and_described(install: Install) -> None:
    install("polar", POLARITY.format(id="polarity"))
    found = plugins.registry().find("processors", "polarity")
    assert (found.distribution, found.spec["summary"]) == ("polar", "Flip the polarity of chosen channels.")
    assert found.spec["schema"]["properties"]["channels"]["type"] == "array"


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("import not_there", "ModuleNotFoundError"),
        ("raise SystemExit(3)", "SystemExit"),
        ("SEISPROC_API = 99", "made for plugin API 99"),
        ("from seisproc_core import hookimpl\n@hookimpl\ndef seisproc_processors(): return 7", "not a list"),
        ("from seisproc_core import hookimpl\n@hookimpl\ndef seisproc_kernels(): return ['agc']", "not a KernelSpec"),
        ("from seisproc_core import hookimpl\n@hookimpl\ndef seisproc_typo(): return []", "seisproc_typo"),
        (POLARITY.format(id="sort"), "cannot be a processor's id"),
    ],
)
def test_a_broken_plugin_is_set_aside_and_the_rest_works(install: Install, source: str, message: str) -> None:
    install("broken", source)
    install("polar", POLARITY.format(id="polarity"))
    assert message in status("broken").error
    assert status("polar").error == ""
    assert plugins.registry().find("processors", "polarity")


def test_a_clash_names_both_distributions(install: Install) -> None:
    install("first", POLARITY.format(id="polarity"))
    install("second", POLARITY.format(id="polarity"))
    assert "provided by first and by second" in status("second").error
    assert plugins.registry().find("processors", "polarity").distribution == "first"


def test_an_unknown_name_suggests_a_known_one(install: Install) -> None:
    install("polar", POLARITY.format(id="polarity"))
    with pytest.raises(UsageError, match="did you mean polarity"):
        plugins.registry().find("processors", "polarty")


def test_the_second_process_reads_the_index_and_imports_no_plugin(install: Install) -> None:
    site = install("polar", POLARITY.format(id="polarity")).parent
    code = (
        f"import sys, json; sys.path.insert(0, {str(site)!r})\n"
        "from seisproc_core import plugins\n"
        "ids = [e.id for e in plugins.registry().of('processors')]\n"
        "print(json.dumps([ids, 'polar.plugin' in sys.modules, 'numpy' in sys.modules]))"
    )
    runs = [json.loads(subprocess.check_output([sys.executable, "-c", code])) for _ in range(2)]
    assert runs == [[["polarity"], True, True], [["polarity"], False, False]]


def test_an_edited_plugin_makes_a_new_index(install: Install) -> None:
    package = install("polar", POLARITY.format(id="polarity"))
    before = plugins._fingerprint(list(plugins._entry_points()))
    (package / "plugin.py").write_text((package / "plugin.py").read_text() + "\n# edited\n")
    assert plugins._fingerprint(list(plugins._entry_points())) != before


def test_a_damaged_index_is_made_again(install: Install) -> None:
    install("polar", POLARITY.format(id="polarity"))
    key = plugins._fingerprint(list(plugins._entry_points()))
    plugins.registry()
    plugins._cache_path(key).write_text("{")
    assert plugins._read_index(key) is None


def test_importing_the_core_loads_nothing_heavy() -> None:
    code = (
        "import sys, seisproc_core\n"
        "heavy = {'numpy', 'numba', 'zarr', 'pyarrow', 'ray', 'scipy', 'PySide6'}\n"
        "print(sorted(heavy & set(sys.modules)))"
    )
    assert subprocess.check_output([sys.executable, "-c", code], text=True).strip() == "[]"


def test_every_public_name_exists() -> None:
    import seisproc_core

    for name in seisproc_core.__all__:
        assert getattr(seisproc_core, name) is not None


def test_a_plugin_set_aside_for_a_missing_library_comes_back_with_it(install: Install) -> None:
    package = install("needs-more", "import more_of_it")
    assert "more_of_it" in status("needs-more").error
    (package.parent / "more_of_it").mkdir()
    assert status("needs-more").error == ""


def test_a_distribution_found_twice_on_the_path_is_one(
    install: Install, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = install("polar", POLARITY.format(id="polarity"))
    again = tmp_path / "again"
    again.mkdir()
    (again / "polar-1.0.dist-info").symlink_to(package.parent / "polar-1.0.dist-info")
    monkeypatch.syspath_prepend(str(again))
    assert [p.error for p in plugins.registry().plugins] == [""]


def test_a_description_that_is_no_json_sets_only_its_plugin_aside(install: Install) -> None:
    install("polar", POLARITY.format(id="polarity"))
    source = "from seisproc_core import hookimpl\nfrom seisproc_core.specs import CommandSpec\n"
    install("odd", source + "@hookimpl\ndef seisproc_commands(): return [CommandSpec(name='x', impl=print, help='')]")
    assert "TypeError" in status("odd").error
    assert plugins.registry().find("processors", "polarity")
