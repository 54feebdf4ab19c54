"""Scenarios of dispatch, judged by what the simulators saw: short in the test suite, long by hand.

`python -m tests.scenarios NAME [--option value ...]` runs one at full length and prints its figures.
"""
