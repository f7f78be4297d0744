"""The command line. Each command loads what it needs when it runs, so that ``--help`` answers at once."""

from __future__ import annotations

import io
import sys
import warnings
from typing import Annotated

import typer
from typer.exceptions import TyperException

from bipstudy.cli import evidence, files, leaving, planning, pooling, replicating, stewarding, studies
from bipstudy.cli.console import (
    DATA_FALL_SHORT,
    DEFAULT_LANGUAGE,
    FINE,
    WRONG_COMMAND,
    Language,
    helped,
    say,
    say_error,
)
from bipstudy.cli.help_words import Program
from bipstudy.cli.usage import asked_language, usage_message

app = Program(help=helped("app"), no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)
pool = Program(help=helped("pool_help"), no_args_is_help=True)
app.add_typer(pool, name="pool")
plan = Program(help=helped("plan_help"), no_args_is_help=True)
app.add_typer(plan, name="plan")

app.command("demo", help=helped("demo_help"))(studies.demo)
app.command("template", help=helped("template_help"))(files.template)
app.command("codebook", help=helped("codebook_help"))(files.codebook)
app.command("map", help=helped("map_help"))(files.draft)
app.command("simulate", help=helped("simulate_help"))(studies.simulate)
app.command("validate", help=helped("validate_help"))(files.validate)
app.command("replicate", help=helped("replicate_help"))(replicating.replicate)
app.command("verify", help=helped("verify_help"))(replicating.verify)
app.command("compare", help=helped("compare_help"))(replicating.compare)
app.command("check-outputs", help=leaving.HELP)(leaving.check_outputs)
app.command("power", help=planning.HELP)(planning.power)
app.command("steward", help=stewarding.HELP)(stewarding.steward)
app.command("certify", help=evidence.HELP)(evidence.certify)
pool.command("add", help=helped("pool_add_help"))(pooling.add)
pool.command("list", help=helped("pool_list_help"))(pooling.listing)
pool.command("diff", help=helped("pool_diff_help"))(pooling.diff)
pool.command("release", help=helped("pool_release_help"))(pooling.release)
pool.command("withdraw", help=helped("pool_withdraw_help"))(pooling.withdraw)
pool.command("erase", help=helped("pool_erase_help"))(pooling.erase)
pool.command("quality", help=helped("pool_quality_help"))(pooling.quality)
pool.command("upgrade", help=helped("pool_upgrade_help"))(pooling.upgrade)
plan.command("init", help=helped("plan_init_help"))(replicating.plan_init)
plan.command("check", help=helped("plan_check_help"))(replicating.plan_check)
plan.command("register", help=helped("plan_register_help"))(replicating.plan_register)


def show_version(asked: bool) -> None:
    """Say which version is installed, and nothing more."""
    if asked:
        from importlib.metadata import version

        say(version("bipstudy"))
        raise typer.Exit(FINE)


Version = Annotated[
    bool, typer.Option("--version", callback=show_version, is_eager=True, help=helped("version_option"))
]


@app.callback()
def options(version: Version = False, language: Language = DEFAULT_LANGUAGE) -> None:
    """Take what is asked of the program as a whole; the language is handed on to the command."""


@pool.callback()
@plan.callback()
def group_options(language: Language = DEFAULT_LANGUAGE) -> None:
    """Take the language, which is handed on to the command."""


def main() -> None:
    """Run the command line; exit code 0 fine, 1 the data fall short, 2 the command was wrong."""
    for stream in (sys.stdout, sys.stderr):
        # A pipe on Windows may not know every character; a question mark is better than no answer.
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")
    # A process that has grown is replaced by a fresh one between two pieces of work: nothing that a person need know.
    warnings.filterwarnings("ignore", message="A worker stopped while some jobs were given", category=UserWarning)
    try:
        code = app(standalone_mode=False)
    except TyperException as error:
        if type(error).__name__ == "NoArgsIsHelpError":
            say(error.format_message())
        else:
            say_error(usage_message(error, asked_language(sys.argv[1:])))
        code = WRONG_COMMAND
    except typer.Abort:
        code = DATA_FALL_SHORT
    sys.exit(code if isinstance(code, int) else FINE)
