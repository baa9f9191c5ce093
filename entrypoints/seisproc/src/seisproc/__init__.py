"""The `seisproc` program: the core, the standard plugins and the demo."""
