"""Features ready for use, made of the definition language alone: what they can, anybody can."""
