"""The one source of tables, codes, questionnaires and definitions: the files of ``data_schemas``, read."""

from bipstudy.schema.canonical import PRECISIONS, STRING, conform, content_hash, dtypes, empty
from bipstudy.schema.codes import Code, CodeList, code_list, code_list_names, fold
from bipstudy.schema.instrument import DEFAULT_INSTRUMENT, Instrument, Item, instrument, instruments, items
from bipstudy.schema.rules import SEVERITIES, Finding, Rule, rules
from bipstudy.schema.sources import SCHEMA_VERSION, folder, read_yaml
from bipstudy.schema.tables import TABLE_NAMES, Column, Reference, Table, table, tables
from bipstudy.schema.template import helper_sheets, write_template
from bipstudy.schema.transitions import Transition, transition, transition_names

__all__ = [
    "DEFAULT_INSTRUMENT",
    "PRECISIONS",
    "SCHEMA_VERSION",
    "SEVERITIES",
    "STRING",
    "TABLE_NAMES",
    "Code",
    "CodeList",
    "Column",
    "Finding",
    "Instrument",
    "Item",
    "Reference",
    "Rule",
    "Table",
    "Transition",
    "code_list",
    "code_list_names",
    "conform",
    "content_hash",
    "dtypes",
    "empty",
    "fold",
    "folder",
    "helper_sheets",
    "instrument",
    "instruments",
    "items",
    "read_yaml",
    "rules",
    "table",
    "tables",
    "transition",
    "transition_names",
    "write_template",
]
