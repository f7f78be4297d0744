"""Files of an organisation become canonical tables, each cell traceable to its file, sheet and row."""

from bipstudy.loaders.grids import SourceFile
from bipstudy.loaders.mapping import Mapping
from bipstudy.loaders.mapping_file import read_mapping
from bipstudy.loaders.submission import Submission, load_submission

__all__ = ["Mapping", "SourceFile", "Submission", "load_submission", "read_mapping"]
