"""The executor ``joblib``: segments in the worker processes of loky, the process pool behind Joblib."""
