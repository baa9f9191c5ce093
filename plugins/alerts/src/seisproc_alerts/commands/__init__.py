"""Sub-commands of the terminal, one module each, imported when it is called."""
