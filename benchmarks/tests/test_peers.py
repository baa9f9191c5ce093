from __future__ import annotations

import sys
from pathlib import Path

import pytest

from benchmarks.harness import absent, at_most, summary
from benchmarks.segy_peers.environment import Peers, PeersMissing, environment


def test_what_the_peers_answer_and_how_they_fail() -> None:
    peers = Peers(Path(sys.executable))  # an environment without them
    assert "mdio" not in peers.versions
    with pytest.raises(RuntimeError, match="decode_segfast of the peers: .*Error"):
        peers("decode_segfast", "nowhere.sgy", 1)
    assert peers("versions") == peers.versions  # it goes on
    peers.close()
    with pytest.raises((RuntimeError, OSError)):
        peers("versions")


def test_an_environment_that_cannot_be_made_is_said_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(PeersMissing) as caught:
        environment("/no/such/python", tmp_path)
    assert "\n" not in str(caught.value)
    row = absent("decode", "segfast", str(caught.value), goal=at_most(1))
    assert row.met is None and not row.noisy
    assert row.cells()[2:4] == (f"segfast: not installed ({caught.value})", "not measured")
    assert summary([row]) == "0 of 0 goals met; not measured: decode"
