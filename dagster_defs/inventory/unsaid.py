"""The words that stand where a person has yet to say something; whoever reads them takes them for nothing said."""

# The reason of a scaffolded `shadow: never`: no gate accepts it.
NOBODY_HAS_SAID = "nobody has said yet where a candidate may write"
