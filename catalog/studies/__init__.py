"""Studies: what approximate multipliers do to networks, on real data, resumable, with tables and plots.

Each is a command, ``axsurrogate study NAME``, and a function.
"""
