"""The standard sub-commands, one module each; imported only when called."""
