"""reboot-runner: restart fleets of cloud servers safely, from reviewed plans in Git."""

__version__ = "0.1.0"
REPOSITORY = "example/reboot-runner"
"""This project on GitHub, OWNER/NAME: the one place where it is set.

`python scripts/rename_repository.py OWNER/NAME` changes it here and in the documents.
"""
