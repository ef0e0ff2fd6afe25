"""What `ego bench` measures, one module per subject; each gives rows with a baseline measured in the same run."""

from ego_perception.cli.benchmarks.row import BenchmarkRow, Milliseconds

__all__ = ["BenchmarkRow", "Milliseconds"]
