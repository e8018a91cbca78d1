"""Where values come from and what they lead to: columns, features, services, models."""
