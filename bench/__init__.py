"""Benchmarks: bare limits, Headwater and a peer, measured in one run and reported as ratios."""
