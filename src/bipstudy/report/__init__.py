"""Documents from plain frames: figures, tables and self-contained pages. Knows no table of BIP."""

from bipstudy.report.document import Answer, Document

__all__ = ["Answer", "Document"]
