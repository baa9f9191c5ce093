"""Header words computed, joined and assigned: geometry of sources and receivers, bins, maps."""
