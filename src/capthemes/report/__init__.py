"""The report: one page that says what a run found, and how much to trust it."""
