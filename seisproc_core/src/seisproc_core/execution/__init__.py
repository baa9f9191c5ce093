"""Running segments: what a worker does, and the protocol of executors."""
