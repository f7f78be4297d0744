"""Sets a Swedish study beside the published Danish findings."""

from bipstudy.replication.agreement import SMALLEST_EFFECT, agreement, agreement_parts
from bipstudy.replication.benchmarks import Benchmark, Part, read_benchmarks

__all__ = ["SMALLEST_EFFECT", "Benchmark", "Part", "agreement", "agreement_parts", "read_benchmarks"]
