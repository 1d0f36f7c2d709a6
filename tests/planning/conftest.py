"""Hypothesis without deadlines: a busy machine is no failure."""

from __future__ import annotations

from hypothesis import settings

settings.register_profile("planning", deadline=None)
settings.load_profile("planning")
