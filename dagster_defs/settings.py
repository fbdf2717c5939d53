"""Where this project lies. What the environment says is read elsewhere still; it moves here, into one record."""

from pathlib import Path

PROJECT_ROOT = Path(__file__).resolve().parents[1]
