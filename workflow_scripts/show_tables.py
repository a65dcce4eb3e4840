"""Print result tables on the terminal."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import click

from vidkd.config.options import PATH, command
from vidkd.errors import UserError
from vidkd.evaluate.tables import number, read_table


@command
@click.argument("tables", nargs=-1, required=True, type=PATH)
@click.option("--page", type=PATH, help="The report page to point to.")
def main(tables: tuple[Path, ...], page: Path | None) -> None:
    """Print the CSV files TABLES, without their columns of standard deviations when there is one seed."""
    for path in tables:
        if not path.is_file():
            raise UserError(f"{path} does not exist: run `snakemake --cores all {path}` first.")
        table = read_table(path).dropna(axis="columns", how="all")
        numbers = {name: partial(number, name) for name in table.select_dtypes("float")}
        click.echo(f"\n{path}\n{table.to_string(index=False, formatters=numbers, na_rep='')}")
    if page is not None:
        click.echo(f"\nReport page: {page.resolve()}")


if __name__ == "__main__":
    main()
