"""What `hem validate` looks for, one file per subject."""
