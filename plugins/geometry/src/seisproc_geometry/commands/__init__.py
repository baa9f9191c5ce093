"""Sub-commands of `seisproc`."""
