"""Traces, headers, sampling and surveys: what flows through a job."""
