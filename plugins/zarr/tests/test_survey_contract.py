"""The survey folder does what every storage format must."""

from __future__ import annotations

from seisproc_core.testing.storage import StorageSuite
from seisproc_zarr.storage import SurveyStorage


class TestSurveyStorage(StorageSuite):
    storage = SurveyStorage()
    name = "line.seis"
    open_options = {"allow_partial": True}
    sink_options = {"shard_traces": 64}


class TestCompressedSurveyStorage(TestSurveyStorage):
    sink_options = {"shard_traces": 64, "codec": "fast"}
