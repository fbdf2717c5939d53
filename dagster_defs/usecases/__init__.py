"""What the commands and components do: one file or folder per verb."""
