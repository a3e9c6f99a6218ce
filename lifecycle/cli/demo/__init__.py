"""``lifecycle demo``: the whole story on real flights, with the commands that a user types."""

from __future__ import annotations

from pathlib import Path

import click


@click.command()
@click.option("--keep", is_flag=True, help="Leave the servers up at the end, to click around in, until Ctrl-C.")
@click.option("--json", "json_file", type=click.Path(path_type=Path), help="Write the closing table to FILE.")
def demo(keep: bool, json_file: Path | None) -> int:
    """Run the whole story on real flights: train, gate, promote, deploy, refuse, roll back.

    Needs a clone of the repository (it trains projects/flights). Takes about two minutes. Exits with 1 when a
    step did not go as expected.

    Example: lifecycle demo --keep
    """
    from lifecycle.cli.demo.story import tell

    return 0 if tell(keep=keep, json_file=json_file) else 1
