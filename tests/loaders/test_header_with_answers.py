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


@pytest.mark.parametrize(
    "name",
    ["Klient Kunskap om arbetslivet", "Klient Tilltro", "Mätning Start (202401)", "Handläggare Tilltro 2024-01-15"],
)
def test_a_heading_of_our_words_is_named(tmp_path, name):
    columns, _ = told(tmp_path, f"Organisation;Deltagare;Startade;{name}\r\nORG01;A2;2024-01-02;4\r\n")
    assert columns == [name]


@pytest.mark.parametrize(
    "name",
    [
        "Klient Kim Ek",
        "Tom Ek",
        "Staffan Ek",
        "Klient 850709",
        "Klient 202401-1234",
        "Coach 070-123 45 67",
        "Kim Kalla",
    ],
)
def test_a_heading_of_our_words_and_of_somebody_is_not_repeated(tmp_path, name):
    columns, page = told(tmp_path, f"Organisation;Deltagare;Startade;{name}\r\nORG01;A2;2024-01-02;4\r\n")
    assert columns == ["D"]
    assert name not in page
