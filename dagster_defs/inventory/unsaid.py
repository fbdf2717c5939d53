"""The placeholder for what a person has yet to declare; code that reads it treats it as missing."""

# The reason of a scaffolded `shadow: never`: no gate accepts it.
NOBODY_HAS_SAID = "nobody has said yet where a candidate may write"
