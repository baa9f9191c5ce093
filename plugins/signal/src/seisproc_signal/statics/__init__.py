"""Statics and other corrections that belong to sources and receivers rather than to traces."""
