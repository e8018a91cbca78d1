"""Compares the values of two versions of features, on a sample of their sources' rows."""
