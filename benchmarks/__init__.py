"""What the package promises of speed and of memory, measured.

``python -m benchmarks.report`` times layers and networks beside torch's own, ``python -m benchmarks.memory`` weighs
their training. Files named ``test_bench_*`` time what these two do not: ``python -m pytest benchmarks``.
"""
