"""What a run does around the unit's own work: ownership of the window, tries, callbacks."""
