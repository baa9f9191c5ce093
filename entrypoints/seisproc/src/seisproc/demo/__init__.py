"""The demonstration: a modelled and a field line, processed from SEG-Y to stacks that are checked against the truth."""
