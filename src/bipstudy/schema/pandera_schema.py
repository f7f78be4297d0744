"""Tables compiled to pandera: types, empty cells, codes, bounds and keys of one table."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bipstudy.schema.canonical import PRECISIONS, dtypes
from bipstudy.schema.codes import code_list
from bipstudy.schema.tables import Column, table

if TYPE_CHECKING:
    import pandera.pandas as pa


def pandera_schema(table_name: str) -> pa.DataFrameSchema:
    """Return the pandera schema of a canonical table.

    It says what one table can say of itself: the type of every column, which cells may be empty, the codes, the bounds
    of numbers, and that no two rows have the same key. Rules across tables are functions of `bipstudy.validation`.

    Parameters
    ----------
    table_name : str
        Name of the table.

    Returns
    -------
    pandera.pandas.DataFrameSchema

    Examples
    --------
    >>> schema = pandera_schema("caseworkers")
    >>> schema.unique
    ['organisation_id', 'caseworker_id']
    """
    import pandera.pandas as pa

    description = table(table_name)
    described = {column.name: column for column in description.columns}
    columns = {}
    for name, dtype in dtypes(table_name).items():
        if name in described:
            columns[name] = _column(described[name], dtype)
        elif name.endswith("_precision"):
            columns[name] = pa.Column(dtype, pa.Check.isin(PRECISIONS), nullable=True, required=False)
        else:
            columns[name] = pa.Column(dtype, nullable=True, required=False)
    return pa.DataFrameSchema(
        columns,
        name=table_name,
        unique=list(description.key),
        # The first row with a key is taken as the right one; the others are the findings.
        report_duplicates="exclude_first",
    )


def _column(column: Column, dtype: object) -> pa.Column:
    """Compile one column of a table."""
    import pandera.pandas as pa

    return pa.Column(dtype, _checks(column), nullable=column.nullable, required=not column.optional)


def _checks(column: Column) -> list[Any]:
    """Return the checks on the values of a column; the name of each says what it looks at."""
    import pandera.pandas as pa

    checks = []
    if column.codes is not None:
        checks.append(pa.Check.isin(code_list(column.codes).values, name="codes"))
    if column.minimum is not None:
        checks.append(pa.Check.ge(column.minimum, name="bounds"))
    if column.maximum is not None:
        checks.append(pa.Check.le(column.maximum, name="bounds"))
    return checks
