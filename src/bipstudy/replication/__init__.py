"""Sets a Swedish study beside the published Danish findings."""

from bipstudy.replication.agreement import SMALLEST_EFFECT, agreement, agreement_parts
from bipstudy.replication.benchmarks import Benchmark, Part, read_benchmarks
from bipstudy.replication.plan import Estimand, Plan
from bipstudy.replication.plan_reading import read_plan
from bipstudy.replication.plan_writing import init_plan
from bipstudy.replication.registration import Registration, deviations, read_registration, register_plan
from bipstudy.replication.run import Run, replicate

__all__ = [
    "SMALLEST_EFFECT",
    "Benchmark",
    "Estimand",
    "Part",
    "Plan",
    "Registration",
    "Run",
    "agreement",
    "agreement_parts",
    "deviations",
    "init_plan",
    "read_benchmarks",
    "read_plan",
    "read_registration",
    "register_plan",
    "replicate",
]
