"""Point-in-time correctness: generated projects, computed by the product and by the oracle."""
