"""The control plane over REST: schemas, the service behind them, the application, its process."""
