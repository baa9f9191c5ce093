"""Keeps jobs durably in one SQLite file: what was submitted survives the process, and several processes share it."""
