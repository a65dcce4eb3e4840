"""Reading settings: from a YAML file, or from the mapping that Snakemake made of several files."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from vidkd.config.problems import problems, sentence
from vidkd.config.settings import CommonSettings, Settings
from vidkd.errors import UserError


def load_settings(source: str | Path | Mapping[str, Any]) -> CommonSettings:
    """The validated settings in `source`: a YAML file, or a mapping such as Snakemake's `config`.

    What is not given has its default; an empty file gives `Settings()`.

    Raises:
        UserError: the file cannot be read, or settings are wrong; the message has one line for each of them.
    """
    values = source if isinstance(source, Mapping) else read_yaml(source)
    try:
        return Settings.model_validate(dict(values))
    except ValidationError as error:
        lines = [f"  {sentence(problem)}" for problem in problems(Settings, error)]
        name = "the configuration" if isinstance(source, Mapping) else str(source)
        raise UserError("\n".join([f"wrong settings in {name}:", *lines])) from None


def read_yaml(path: str | Path) -> dict[str, Any]:
    """The mapping in a YAML file; `{}` when the file is empty.

    Raises:
        UserError: the file is missing, is not YAML, has the same key twice, or is not a mapping.
    """
    try:
        values = yaml.load(Path(path).read_text(encoding="utf-8"), Loader=_UniqueKeys)
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror}. Give the path of a YAML file.") from None
    except yaml.MarkedYAMLError as error:
        line = f", line {error.problem_mark.line + 1}" if error.problem_mark else ""
        raise UserError(f"{path}{line}: not valid YAML: {error.problem or error.context}") from None
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise UserError(f"{path}: not valid YAML: {str(error).splitlines()[0]}") from None
    if values is None:
        return {}
    if not isinstance(values, dict):
        raise UserError(
            f"{path}: found a {type(values).__name__}; a configuration is a mapping such as `seeds: [0]`"
        )
    return values


class _UniqueKeys(yaml.SafeLoader):
    """The safe loader, with a repeated key as an error: YAML's own rule, which PyYAML leaves out."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen = set()
        for key, _ in node.value:
            if (key.tag, str(key.value)) in seen:
                raise yaml.constructor.ConstructorError(
                    None, None, f"the key {key.value} is given twice", key.start_mark
                )
            seen.add((key.tag, str(key.value)))
        return super().construct_mapping(node, deep)
