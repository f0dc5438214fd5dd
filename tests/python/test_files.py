"""JSON against its schema: long lists of numbers pass quickly, and are judged as jsonschema judges them."""

import jsonschema
import pytest
from pocketnet import files
from pocketnet.errors import DataError

VOXELS = {"type": "array", "items": {"type": "array", "minItems": 2, "maxItems": 3,
                                     "items": {"type": "integer", "minimum": 0}}}


@pytest.mark.parametrize("value", [
    [], [[0, 1, 2], [3, 4]], [[0, 1, 2], [3, 4.0]], [[0, 1, -2]], [[0]], [[0, 1, 2, 3]], [[0, True]], [[0, 1.5]],
    [[0, "1"]], [[0, None]], [3], "text", [[0, 1], [0, -1]], [[0, 1], {}],
])
def test_voxels_are_judged_as_jsonschema_does(value):
    expected = jsonschema.Draft202012Validator(VOXELS).is_valid(value)
    assert files._validator_class()(VOXELS).is_valid(value) == expected


def test_a_wrong_number_in_a_long_list_is_named(tmp_path):
    labels = {"labels": [{"name": "one", "value": 1, "source_values": [1, 2, "3"]}], "modalities": ["MRI"]}
    with pytest.raises(DataError) as caught:
        files.write_json(tmp_path / "labels.json", labels, "labels")
    assert caught.value.problems == ["labels.0.source_values.2: '3' is not of type 'integer'"]
