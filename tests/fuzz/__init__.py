"""Every reader of bytes from outside, and inputs that mean harm. `python -m tests.fuzz --help`."""
