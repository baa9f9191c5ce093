"""Every registered processor against named peers and the limits of the machine.

`case` says what a case is; the modules named in `catalogue` hold them, family by family, with their peers; `worker`
runs them in processes, one for each core; `limits` measures what the machine could do; `rows` makes the table.
"""
