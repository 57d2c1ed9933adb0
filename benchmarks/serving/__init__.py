"""This service and what a user would pick instead, under the same load: see docs/benchmarks.md."""
