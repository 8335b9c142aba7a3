import subprocess
import sys

import pytest

from capthemes import store


def test_a_file_appears_whole_or_not_at_all(tmp_path):
    target = tmp_path / "a.txt"
    with store.atomic_path(target) as temporary:
        temporary.write_text("whole")
        assert not target.exists()
    assert target.read_text() == "whole"
    with pytest.raises(RuntimeError), store.atomic_path(target) as temporary:
        temporary.write_text("half")
        raise RuntimeError
    assert target.read_text() == "whole"
    assert [path.name for path in tmp_path.iterdir()] == ["a.txt"]


def test_fingerprints_agree(tmp_path):
    store.write_text(tmp_path / "a", "é\n")
    assert store.fingerprint_file(tmp_path / "a") == store.fingerprint_bytes("é\n".encode())


def test_bundled_things_are_found_from_any_folder(tmp_path):
    code = "import capthemes.store as s; print(all((s.home(k)).is_dir() for k in ('models', 'annotations')))"
    run = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True)
    assert run.stdout.strip() == "True", run.stderr
