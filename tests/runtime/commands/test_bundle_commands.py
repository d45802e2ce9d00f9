import json
import subprocess
import sys

import pytest

from mgdn_edge import cli

pytestmark = pytest.mark.export


def mgdn(*arguments, capsys):
    """Exit code, stdout and stderr of the command in this process."""
    try:
        cli.build_app()(list(map(str, arguments)), standalone_mode=False)
        code = 0
    except SystemExit as leaving:
        code = leaving.code
    except cli.UserError as error:
        return 2, "", str(error)
    return code, *capsys.readouterr()


def test_create_inspect_verify_in_a_row(export_folder, tmp_path, capsys):
    path = tmp_path / "net.mgdn"
    code, out, _ = mgdn("bundle", "create", export_folder, path, "--note", "a [b] c", capsys=capsys)
    assert code == 0
    assert "variants dynamic, 16x12" in out
    _, out, _ = mgdn("bundle", "inspect", path, capsys=capsys)
    for word in ("a [b] c", "CC0", "none stated", "models/dynamic.onnx", "onnxruntime"):
        assert word in out
    _, out, _ = mgdn("bundle", "verify", path, capsys=capsys)
    assert "11 digests match" in out
    assert "golden pair of 16x12: at most 0 levels off, 1 allowed" in out


def test_json_of_each_is_one_object(export_folder, tmp_path, capsys):
    path = tmp_path / "net.mgdn"
    _, created, _ = mgdn("bundle", "create", export_folder, path, "--json", capsys=capsys)
    _, inspected, _ = mgdn("bundle", "inspect", path, "--json", capsys=capsys)
    _, verified, _ = mgdn("bundle", "verify", path, "--json", capsys=capsys)
    assert json.loads(created) == json.loads(inspected)
    golden = json.loads(verified)["golden"]["dynamic"]
    assert golden["passed"] is True
    assert golden["psnr"] is None  # infinite: the images are equal


def test_a_damaged_bundle_is_one_line_and_exit_code_two(tiny_bundle, tmp_path):
    path = tmp_path / "cut.mgdn"
    path.write_bytes(tiny_bundle.read_bytes()[:-1])
    run = [sys.executable, "-c", "from mgdn_edge.cli import main; main()", "bundle"]
    for command in ("inspect", "verify"):
        done = subprocess.run([*run, command, path], capture_output=True, text=True, check=False)
        assert done.returncode == 2
        assert done.stdout == ""
        assert done.stderr.count("\n") == 1
        assert "not a usable bundle" in done.stderr
