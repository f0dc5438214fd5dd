"""Makes the modules beside it importable for the tests of both folders."""
