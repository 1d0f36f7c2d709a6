"""Bytes from outside: files that are opened safely, JSON and YAML that are bounded before
they are read.
"""
