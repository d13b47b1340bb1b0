"""One profile of Hypothesis for all property tests."""

from __future__ import annotations

from hypothesis import HealthCheck, settings

# a busy machine is no fault of the code
settings.register_profile("sseapp", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("sseapp")
