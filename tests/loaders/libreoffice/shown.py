"""Make shown.xls and shown.ods, as LibreOffice 7.4 writes them; needs its program soffice (package libreoffice-calc).

The cells show more than their values: ids with zeros before them, shares as percent, days as months, a hidden row.
"""

import datetime as dt
import subprocess
import tempfile
from pathlib import Path

import openpyxl

HERE = Path(__file__).parent
HEADER = ["Deltagare", "Startade", "Andel i arbete eller studier 5 år", "Följd till och med"]
ROWS = [(7, 3, 0.575), (12, 4, 1), (123, 5, 0.25), (45, 6, 0.3)]
SHOWN = ("00000", "yyyy-mm", "0.0%", "yyyy-mm-dd")


def write(path: Path) -> Path:
    """Write the workbook that is converted."""
    book = openpyxl.Workbook()
    sheet = book.active
    sheet.title = "Deltagare"
    sheet.append(HEADER)
    for person, month, share in ROWS:
        sheet.append([person, dt.datetime(2024, month, 1), share, dt.datetime(2024, 12, 31)])
        for column, shown in enumerate(SHOWN, 1):
            sheet.cell(sheet.max_row, column).number_format = shown
    sheet.row_dimensions[4].hidden = True
    book.save(path)
    return path


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        made = write(Path(folder, "shown.xlsx"))
        for ending in ("xls", "ods"):
            subprocess.run(["soffice", "--headless", "--convert-to", ending, "--outdir", HERE, made], check=True)
