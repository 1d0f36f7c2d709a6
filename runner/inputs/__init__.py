"""Bytes from outside: files that are opened safely, JSON that is measured before it is read."""
