"""Write what is generated of the settings: config.default.yaml, schema.json and the table in README.md."""

from __future__ import annotations

from pathlib import Path

import click

from vidkd.config.generate import out_of_step, write_documents
from vidkd.config.options import PATH, command


@command
@click.option("--folder", type=PATH, default=Path("config"), help="Where the documents are.")
@click.option(
    "--check", is_flag=True, help="Write nothing; exit with status 1 when a document is out of step."
)
def main(folder: Path, check: bool) -> None:
    """Bring the documents of the settings in step with vidkd/config."""
    stale = out_of_step(folder) if check else write_documents(folder)
    for path in stale:
        click.echo(f"{path}: {'out of step' if check else 'written'}")
    if check and stale:
        click.echo("mend it with: python -m workflow_scripts.write_config_docs", err=True)
        raise SystemExit(1)


if __name__ == "__main__":
    main()
