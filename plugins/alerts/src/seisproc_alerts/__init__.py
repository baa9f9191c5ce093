"""Watching the machine and its jobs: samples, alert rules and channels, ``seisproc top`` and ``seisproc alerts``."""
