"""Business code of the harbour."""


def high_water(hour: str) -> str:
    """When the water is high after that hour."""
    return f"six hours after {hour}"


def report_pilots(day: str) -> None:
    """Says which pilots were out."""
    print(f"pilots of {day}")  # noqa: T201 - a task's log
