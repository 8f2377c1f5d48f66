"""The local page for people: new images next to their seeds, accepted, rejected or given another class by hand."""
