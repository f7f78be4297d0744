"""Sets a Swedish study beside the published Danish findings."""

from bipstudy.replication.agreement import SMALLEST_EFFECT, agreement, agreement_parts
from bipstudy.replication.benchmarks import Benchmark, Part, read_benchmarks
from bipstudy.replication.comparing import Comparison, compare_runs
from bipstudy.replication.leaving import Leaving, Reason, check_outputs, reason
from bipstudy.replication.multiverse import Multiverse, multiverse
from bipstudy.replication.plan import Estimand, Plan
from bipstudy.replication.plan_reading import read_plan
from bipstudy.replication.plan_writing import init_plan
from bipstudy.replication.registration import Registration, deviations, read_registration, register_plan
from bipstudy.replication.run import Run, replicate
from bipstudy.replication.verify import verify

__all__ = [
    "SMALLEST_EFFECT",
    "Benchmark",
    "Comparison",
    "Estimand",
    "Leaving",
    "Multiverse",
    "Part",
    "Plan",
    "Reason",
    "Registration",
    "Run",
    "agreement",
    "agreement_parts",
    "check_outputs",
    "compare_runs",
    "deviations",
    "init_plan",
    "multiverse",
    "read_benchmarks",
    "read_plan",
    "read_registration",
    "reason",
    "register_plan",
    "replicate",
    "verify",
]
