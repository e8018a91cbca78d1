"""What all tests share: the same examples on every run, and no deadline on a busy machine."""

from hypothesis import HealthCheck, settings

pytest_plugins = ["servers.fixtures"]

settings.register_profile(
    "headwater", derandomize=True, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("headwater")
