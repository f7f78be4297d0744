"""Pages of the documentation that are made from ``data_schemas``: tables, codes, questionnaire, rules."""

from __future__ import annotations

import json
import re
from pathlib import Path

import bipstudy
from bipstudy import schema
from bipstudy.texts import text_forms


def write_all(folder: Path) -> None:
    """Write every generated page into a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    pages = {"tables": tables(), "codes": codes(), "instrument": instrument(), "rules": rules(), "errors": errors()}
    for name, page in pages.items():
        path = folder / f"{name}.md"
        if not path.is_file() or path.read_text(encoding="utf-8") != page:
            path.write_text(page, encoding="utf-8")


def write_certificates(folder: Path, listed: Path) -> None:
    """Write the list of the certificates in a folder, the newest first, for the page that tells of them."""
    made = [(path.parent, json.loads(path.read_text(encoding="utf-8"))) for path in folder.glob("*/certificate.json")]
    made.sort(key=lambda each: each[1]["created"], reverse=True)
    heads = ("page", "made (UTC)", "seed", "replicates", "studies", "hold", "fail", "tests", "code")
    parts = [f"| {' | '.join(heads)} |", f"|{'---|' * len(heads)}"]
    for place, content in made:
        studies = content.get("studies", 0) or content.get("varied", 0)
        tests = content["evidence"]["rows"]
        passed = sum(bool(row["ok"]) for row in tests)
        failing = [name for name in content["failing"] if name not in {row["module"] for row in tests}]
        cells = [
            f'<a href="{folder.name}/{place.name}/certificate.html">{place.name}</a>',
            content["created"].replace("T", " ").replace("+00:00", ""),
            str(content["seed"]),
            f"{content['replicates']:,}",
            str(studies) if studies else "–",
            str(len(content["rows"]) - len(failing)),
            ", ".join(f"`{name}`" for name in failing) or "–",
            f"{passed} of {len(tests)} modules" if tests else "not run",
            f"`{content['code'][:12]}`",
        ]
        parts.append(f"| {' | '.join(cells)} |")
    listed.write_text("\n".join(parts) + "\n" if made else "None has been put here yet.\n", encoding="utf-8")


def tables() -> str:
    """Return the page of tables and columns."""
    parts = [
        "# Tables",
        "",
        "Each table with its key and columns. A column marked *may be left out* need not be sent.",
        "",
    ]
    for table in schema.tables().values():
        parts += [f"## {table.name}", "", f"{table.label['sv']}. {table.description['en']}", ""]
        parts += [f"Key: {', '.join(f'`{column}`' for column in table.key)}.", ""]
        if table.without:
            parts += [f"If the table is not sent: {table.without['en']}", ""]
        parts += ["| column | Swedish heading | kind | | meaning |", "|---|---|---|---|---|"]
        for column in table.columns:
            kind = f"code: [{column.codes}](codes.md#{column.codes})" if column.codes else column.kind
            mark = "may be left out" if column.optional else ("assigned if missing" if column.assigned else "")
            meaning = " ".join(filter(None, [column.description["en"], (column.without or {}).get("en", "")]))
            parts.append(f"| `{column.name}` | {column.label['sv']} | {kind} | {mark} | {meaning} |")
        if table.has_items:
            parts += ["", "Then one whole-number column per item of the [questionnaire](instrument.md)."]
        parts.append("")
    return "\n".join(parts)


def codes() -> str:
    """Return the page of code lists."""
    parts = ["# Codes", "", "What a file may hold, as the code itself or as either label.", ""]
    for name in schema.code_list_names():
        listed = schema.code_list(name)
        parts += [f"({name})=", f"## {name}", "", f"{listed.label['en']} ({listed.label['sv']}).", ""]
        parts += ["| code | Swedish | English |", "|---|---|---|"]
        parts += [f"| `{code.value}` | {code.label['sv']} | {code.label['en']} |" for code in listed.codes]
        parts.append("")
    return "\n".join(parts)


def instrument() -> str:
    """Return the page of the default questionnaire."""
    parts = [
        "# Questionnaire",
        "",
        "The licensed questionnaire is not public. The default one below holds the indicators that public sources name, "
        "and placeholders for the three that they do not. What has been read in a public source is marked; the rest is assumed.",
        "",
        "| item | Swedish | English | asked of | scale | name read | respondents read | scale read | wording read |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for item in schema.instrument().items:
        read = " | ".join(
            "yes" if item.confirmed[part] else "no" for part in ("name", "respondents", "scale", "wording")
        )
        asked = " and ".join(item.respondents)
        parts.append(
            f"| `{item.id}` | {item.label['sv']} | {item.label['en']} | {asked} | {item.minimum}–{item.maximum} | {read} |"
        )
    return "\n".join([*parts, ""])


def rules() -> str:
    """Return the page of rules: one heading per code."""
    parts = ["# Rules", "", "Every finding bears the code of a rule. Each is told here in both languages.", ""]
    for rule in schema.rules().values():
        parts += [f"({rule.code})=", f"## {rule.code}", "", f"**{rule.severity}**. {rule.title['en']}", ""]
        if rule.threshold:
            parts += [
                "Thresholds: " + ", ".join(f"{name} = {value:g}" for name, value in rule.threshold.items()) + ".",
                "",
            ]
        for language in ("sv", "en"):
            parts += [f"- *{language}*: {rule.message[language]} {rule.cure[language]}"]
        parts += ["", f"Example: {rule.example['en']}", ""]
    return "\n".join(parts)


def errors() -> str:
    """Return the page of errors: every key that the code raises, with its words in both languages."""
    source = Path(bipstudy.__file__).parent
    raised = {
        key
        for path in source.rglob("*.py")
        for key in re.findall(r"(?:BipstudyError|DataError)\(\s*\"([\w.]+)\"", path.read_text(encoding="utf-8"))
    }
    parts = [
        "# Errors",
        "",
        "What the package says when it cannot go on. The code stands in square brackets before the words.",
        "",
    ]
    for key in sorted(raised):
        forms = text_forms(key)
        parts += [f"## {key}", "", f"- *sv*: {forms['sv']}", f"- *en*: {forms['en']}", ""]
    return "\n".join(parts)
