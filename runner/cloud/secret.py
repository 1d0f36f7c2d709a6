"""Secrets that do not print: the same as everywhere where HTTP is spoken."""

from __future__ import annotations

from runner.net.secret import HIDDEN, Scrub, Secret, no_scrub, scrubber

__all__ = ["HIDDEN", "Scrub", "Secret", "no_scrub", "scrubber"]
