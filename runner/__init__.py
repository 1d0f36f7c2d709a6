"""reboot-runner: restart fleets of cloud servers safely, from reviewed plans in Git."""

__version__ = "0.1.0"
