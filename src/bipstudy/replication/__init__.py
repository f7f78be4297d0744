"""Sets a Swedish study beside the published Danish findings."""

from bipstudy.replication.agreement import SMALLEST_EFFECT, agreement, agreement_parts
from bipstudy.replication.benchmarks import Benchmark, Part, read_benchmarks
from bipstudy.replication.run import Run, replicate

__all__ = [
    "SMALLEST_EFFECT",
    "Benchmark",
    "Part",
    "Run",
    "agreement",
    "agreement_parts",
    "read_benchmarks",
    "replicate",
]
