"""Operators on whole gathers: dip filters, prediction, Radon transforms, interpolation, multiple attenuation."""
