"""What all tests share: random examples are the same in every run, so that a red run speaks of the change."""

from hypothesis import HealthCheck, settings

# A machine that does other work as well is slow, which says nothing of the code.
settings.register_profile("repeatable", derandomize=True, deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("repeatable")
