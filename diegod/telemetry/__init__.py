"""What a process says about itself: structured logs on stderr.

An event is `noun.verb` with keys that carry their units. Nothing secret is ever a value: no
environment, no keys, no definitions.
"""
