"""--max-memory is kept to, or refused with what works; a large volume is predicted in bounded memory."""

import json
import re
import subprocess
import sys

import nibabel as nib
import numpy as np
import pytest
from pocketnet.errors import UsageError
from pocketnet.inference.memory import parse_size

CHILD = """
import sys
from pocketnet import backend
from pocketnet.cli.infer import main
try:
    main.main(sys.argv[1:], standalone_mode=False)
finally:
    print("peak", backend.peak_host_memory_mib(), file=sys.stderr)
"""


def run(*arguments):
    done = subprocess.run([sys.executable, "-c", CHILD, *map(str, arguments), "--json"], capture_output=True, text=True)
    return done, float(re.search(r"peak (\S+)", done.stderr)[1])


def test_memory_is_kept_to_or_refused_with_what_works(hippocampus_model, image, tmp_path):
    """A real image repeated to 200×240×220 voxels."""
    data = np.asarray(nib.load(image).dataobj)
    large = np.tile(data, [-(-n // m) for n, m in zip((200, 240, 220), data.shape, strict=True)])[:200, :240, :220]
    nib.save(nib.Nifti1Image(large.astype(np.int16), np.eye(4)), tmp_path / "large.nii.gz")
    command = ("--model", hippocampus_model, tmp_path / "large.nii.gz", "-o", tmp_path / "out.nii.gz", "--threads", 2)
    refused, _ = run(*command, "--max-memory", "300M")
    assert "does not fit into --max-memory 300M" in refused.stderr, refused.stderr
    assert not (tmp_path / "out.nii.gz").exists()
    least = int(re.search(r"Use --max-memory (\d+)M or more", refused.stderr)[1])
    kept, peak = run(*command, "--max-memory", f"{least}M")
    assert peak <= least and nib.load(tmp_path / "out.nii.gz").shape == (200, 240, 220)
    described = json.loads(kept.stdout)["cases"][0]
    assert described["predicted_memory_mib"] <= least and np.prod(described["window"]) <= 32**3
    again, _ = run(*command, "--max-memory", f"{least - 1}M", "--again")
    assert f"Use --max-memory {least}M or more" in again.stderr


@pytest.mark.parametrize("text, mib", [("2G", 2048), ("1.5g", 1536), ("1500M", 1500), ("900", 900), ("2048k", 2)])
def test_sizes(text, mib):
    assert parse_size(text) == mib


@pytest.mark.parametrize("text", ["", "G", "-2G", "2X", "nan", "inf"])
def test_what_is_no_size(text):
    with pytest.raises(UsageError, match="Expected a size"):
        parse_size(text)
