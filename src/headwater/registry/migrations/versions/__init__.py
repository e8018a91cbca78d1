"""One file a migration, `vNNNN_what.py`; numbers without gaps, never edited once released."""
