"""``python -m seisproc``: the same as the `seisproc` script."""

from __future__ import annotations

from seisproc_terminal.main import main

if __name__ == "__main__":
    main()
