"""What a run does around the unit's own work: whose the window is, tries, callbacks."""
