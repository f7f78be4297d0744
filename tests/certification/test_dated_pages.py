"""The certificates in the documentation: each page says what its numbers say, and the list names what fails."""

import importlib.util
import json
from pathlib import Path

import pytest

DOCS = Path(__file__).parents[2] / "docs"
KEPT = sorted((DOCS / "extra" / "certificates").iterdir())


@pytest.fixture
def generate():
    spec = importlib.util.spec_from_file_location("docs_generate", DOCS / "generate.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("folder", KEPT, ids=lambda folder: folder.name)
def test_a_page_has_its_date_seed_code_and_versions_and_says_plainly_what_fails(folder):
    page = (folder / "certificate.html").read_text(encoding="utf-8")
    facts = json.loads((folder / "certificate.json").read_text(encoding="utf-8"))
    assert facts["created"].replace("T", " ").replace("+00:00", " UTC") in page
    assert folder.name.startswith(facts["created"][:10])
    assert facts["code"][:12] in page
    assert f"--seed {facts['seed']}" in page
    assert all(version in page for version in facts["versions"].values())
    assert ("Not everything holds" in page) != facts["ok"]
    assert page.count("FAILS") == sum(not row["ok"] for row in facts["rows"] + facts["evidence"]["rows"])
    # It needs nothing from elsewhere.
    assert "<script" not in page
    assert 'src="http' not in page


def test_the_list_is_newest_first_and_names_what_fails(generate, tmp_path):
    facts = json.loads((KEPT[0] / "certificate.json").read_text(encoding="utf-8"))
    tests = [{"module": "tests/a.py", "ok": True}, {"module": "tests/b.py", "ok": False}]
    for name, created, failing in (("old", "2026-01-01", ["cox"]), ("new", "2026-02-01", ["cox", "tests/b.py"])):
        content = {**facts, "created": f"{created}T00:00:00+00:00", "failing": failing, "rows": facts["rows"][:5]}
        content["evidence"] = {"state": "run", "rows": tests if name == "new" else []}
        (tmp_path / name).mkdir()
        (tmp_path / name / "certificate.json").write_text(json.dumps(content), encoding="utf-8")
    generate.write_certificates(tmp_path, tmp_path / "list.txt")
    *_, new, old = (tmp_path / "list.txt").read_text(encoding="utf-8").splitlines()
    assert f'href="{tmp_path.name}/new/certificate.html"' in new
    assert "| 4 | `cox` | 1 of 2 modules |" in new
    assert "| 4 | `cox` | not run |" in old


def test_without_a_certificate_the_list_says_so(generate, tmp_path):
    generate.write_certificates(tmp_path / "nowhere", tmp_path / "list.txt")
    assert "None" in (tmp_path / "list.txt").read_text(encoding="utf-8")
