from __future__ import annotations

import pandas as pd
import pytest
from small_study import study, tables

from bipstudy.study import Study


@pytest.fixture
def small_tables() -> dict[str, pd.DataFrame]:
    return tables()


@pytest.fixture
def small_study() -> Study:
    return study()
