"""The pandera schemas say what the files say of single tables."""

from __future__ import annotations

import pandas as pd
import pandera.pandas as pa
import pytest

from bipstudy import schema
from bipstudy.schema.pandera_schema import pandera_schema


@pytest.mark.parametrize("name", schema.TABLE_NAMES)
def test_columns_keys_and_types_are_those_of_the_files(name: str) -> None:
    compiled = pandera_schema(name)
    assert list(compiled.columns) == list(schema.dtypes(name))
    assert compiled.unique == list(schema.table(name).key)
    for column in schema.table(name).columns:
        assert compiled.columns[column.name].nullable == column.nullable
        assert compiled.columns[column.name].required == (not column.optional)


@pytest.mark.parametrize("name", schema.TABLE_NAMES)
def test_an_empty_table_is_valid(name: str) -> None:
    pandera_schema(name).validate(schema.empty(name), lazy=True)


def test_codes_and_bounds_are_checked_one_by_one() -> None:
    frame = schema.conform(
        "caseworkers",
        pd.DataFrame(
            {
                "organisation_id": "a",
                "caseworker_id": ["1", "2", "3", "3"],
                "role": ["municipal", "Kommun", None, "other"],
                "in_role_since": [1950, 2001, 2101, None],
            }
        ),
        sort=False,
    )
    with pytest.raises(pa.errors.SchemaErrors) as failed:
        pandera_schema("caseworkers").validate(frame, lazy=True)
    cases = failed.value.failure_cases
    found = {(column, index) for column, index in zip(cases["column"], cases["index"], strict=True)}
    assert {("role", 1), ("in_role_since", 0), ("in_role_since", 2), ("caseworker_id", 3)} <= found
    assert {index for column, index in found if column == "role"} == {1}
    assert ("caseworker_id", 2) not in found


def test_every_code_of_every_list_is_valid() -> None:
    for name in schema.TABLE_NAMES:
        compiled = pandera_schema(name)
        for column in schema.table(name).columns:
            if column.codes is not None:
                values = pd.Series(schema.code_list(column.codes).values, dtype=schema.STRING, name=column.name)
                compiled.columns[column.name].validate(values.to_frame())
