"""Noise attenuation on single traces."""
