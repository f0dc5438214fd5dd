"""From a folder of scans to a manifest: presets, one adapter a layout, the check, and the demo's cases."""
