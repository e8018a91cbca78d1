"""As-of lookups, windows, sequences and exact sums, in numpy alone.

All times are int64 microseconds. Rows may come in any order; no result depends on that order,
nor on which other keys are present.
"""
