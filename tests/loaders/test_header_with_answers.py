"""A header into which answers have come, or that nothing stands below, is not repeated in a finding."""

import pytest

import bipstudy as bip

NAME = "Hemlige Karlsson"


def told(tmp_path, content):
    """Return what is said of a file, in words and as JSON."""
    path = tmp_path / "Deltagare.csv"
    path.write_bytes(content.encode())
    submission = bip.load_submission(path)
    columns = [each.column for each in submission.findings if each.code == "unknown-column"]
    return columns, bip.validate(submission).to_json()


@pytest.mark.parametrize(
    "content",
    [
        # The line break after the header was lost.
        f"Organisation;Deltagare;Startade;{NAME};2024-02-01;3\r\nORG01;A2;2024-01-02;x;y;z\r\n",
        f"Organisation;Deltagare;Startade;{NAME};0,125\r\nORG01;A2;2024-01-02;x;y\r\n",
        # Nothing stands below.
        f"Organisation;Deltagare;Startade;{NAME}\r\n",
    ],
)
def test_a_name_in_the_header_is_not_repeated(tmp_path, content):
    columns, page = told(tmp_path, content)
    assert "D" in columns
    assert NAME not in page


def test_an_unknown_heading_is_named(tmp_path):
    columns, page = told(tmp_path, "Organisation;Deltagare;Startade;Skostorlek\r\nORG01;A2;2024-01-02;42\r\n")
    assert columns == ["Skostorlek"]
    assert "Skostorlek" in page
