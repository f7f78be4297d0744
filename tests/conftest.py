"""What all tests share: random examples are the same in every run, so that a red run speaks of the change."""

from hypothesis import settings

settings.register_profile("repeatable", derandomize=True)
settings.load_profile("repeatable")
