"""Turn a folder of scans into a manifest: presets, one adapter per layout, the check, and the demo dataset."""
