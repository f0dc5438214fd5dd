"""The files between the steps, as types: one module a kind of file.

A contract is a frozen dataclass that pydantic checks when it is made. `Contract.read` takes a file, `Contract.parse` a
JSON value, `Contract.write` writes the file whole. Every structural fault is a `DataError` that names the file, the
path within it, what was found and what was expected. The JSON Schemas in `pocketnet/schemas/`, for programs other than
these, are generated from the contracts (`make schemas`).

Nothing is imported here: a step imports the kinds that it reads and writes, inside its functions.
"""
