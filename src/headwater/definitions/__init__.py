"""What users write: entities, sources, features, views, services, rules. Frozen data, no I/O."""
