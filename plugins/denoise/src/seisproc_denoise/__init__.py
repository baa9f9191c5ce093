"""Noise and multiple attenuation, interpolation and transforms: operators on single traces and on gathers."""
