"""
What this provider costs, against what a user would do today and against the floor.

``make bench``, or ``python -m benchmarks [names...] [--quick]``. Everything is measured here and now, against servers
on this machine; nothing leaves it.
"""
