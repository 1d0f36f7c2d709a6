"""Hypothesis without deadlines (a busy machine is no failure), and with few examples:
fleets are large ones.
"""

from __future__ import annotations

from hypothesis import settings

settings.register_profile("planning", deadline=None, max_examples=25)
settings.load_profile("planning")
