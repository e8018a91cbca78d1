"""The same works by Headwater: whole calls, to the materialised result."""
