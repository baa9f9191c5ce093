"""Other libraries for SEG-Y and surveys, measured beside ours: in an environment and a process of their own."""
