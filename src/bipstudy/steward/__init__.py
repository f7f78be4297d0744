"""The local web page on which a data steward checks files: bound to this computer, silent, and forgetful."""

from bipstudy.steward.server import serve

__all__ = ["serve"]
