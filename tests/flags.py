"""How XLA compiles in tests.

Most of a test's time is spent compiling, and the numbers do not need the optimiser.
With it: XLA_FLAGS=--xla_backend_optimization_level=3, which comes last and prevails.
"""

QUICK = "--xla_backend_optimization_level=0"
