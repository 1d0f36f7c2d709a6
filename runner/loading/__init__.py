"""From files to frozen models: YAML with positions -> templates -> pydantic -> a plan, or problems.

Bad content never raises here: everything that is wrong becomes a `Problem`, all of them in
one pass.
"""
