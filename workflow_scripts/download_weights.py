"""Have all weights that a configuration names on this machine, for runs without network."""

from __future__ import annotations

from vidkd.backbones.download import download
from vidkd.config.backbones import WeightsSettings
from vidkd.config.options import command, settings_options
from vidkd.engine.logging import setup_logging


@command
@settings_options(WeightsSettings)
def main(settings: WeightsSettings) -> None:
    """Fetch what is missing of the weights; what cannot be fetched is named at the end."""
    setup_logging()
    download(settings)


if __name__ == "__main__":
    main()
