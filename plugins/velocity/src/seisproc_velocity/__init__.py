"""Velocities of reflections: normal moveout, stacking, semblance."""
