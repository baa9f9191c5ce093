"""Adapters of the job system for tools that know nothing of seisproc."""
