"""The checkout of this repository, with the taxi estate."""

from pathlib import Path

PROJECT_ROOT = Path(__file__).resolve().parents[1]
