"""The commands of `hem`, one file each. They parse, call and print; the work is elsewhere."""
