"""Types of the files that steps exchange: one module per kind of file.

A contract is a frozen dataclass that pydantic validates on creation. `Contract.read` reads a file, `Contract.parse`
takes a JSON value, and `Contract.write` writes a file atomically. Each structural error is a `DataError` that names the
file, the path within it, the value found and the value expected. `make schemas` generates the JSON Schemas in
`pocketnet/schemas/`, for other programs, from the contracts.

This package imports nothing. Each step imports the kinds that it reads and writes inside its functions.
"""
