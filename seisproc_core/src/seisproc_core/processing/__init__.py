"""Processors, their parameters and kernels, flows and how they are planned."""
