"""``--help`` with its options in groups: what is read, what is held against it, what is shown, how it runs."""

from __future__ import annotations

import click

#: By title, the options of each group in the order of the commands. Any other stands under "Options".
GROUPS = {
    "Models and targets": "--target --all-targets --pack --shape --precision --hook --allow-empty",
    "Limits": "--budget --select --ignore --fail-on --base --today --no-baseline --exit-zero --headroom",
    "Configuration": "--config --no-config --show-settings",
    "Output": "--format --output --quiet --top --all-kernels --explain --write-hook --write-workflow --source",
    "Run": "--jobs --scheduler --no-cache",
}
_GROUP_OF = {option: title for title, options in GROUPS.items() for option in options.split()}


class Command(click.Command):
    """A command whose help shows its options by ``GROUPS``."""

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """See click."""
        rows: dict[str, list[tuple[str, str]]] = {}
        for parameter in self.get_params(ctx):
            if isinstance(parameter, click.Option) and (row := parameter.get_help_record(ctx)) is not None:
                title = next((_GROUP_OF[name] for name in parameter.opts if name in _GROUP_OF), "Options")
                rows.setdefault(title, []).append(row)
        for title in (*GROUPS, "Options"):
            if title in rows:
                with formatter.section(title):
                    formatter.write_dl(rows[title])
