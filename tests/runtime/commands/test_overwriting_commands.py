"""Every command that writes a file of the user's takes --overwrite, and says so alike."""

import pytest

COMMANDS = (
    "align", "sync", "bench", "profile", "accept", "bundle create", "export", "check", "train",
    "quantize",
)  # fmt: skip


@pytest.mark.parametrize("command", COMMANDS)
def test_the_option_is_in_its_help(run_mgdn, command):
    done = run_mgdn(*command.split(), "--help")
    told = " ".join(done.out.split())
    assert done.code == 0 and "-y, --overwrite" in told
    assert "without it you are asked at a terminal, refused elsewhere" in told
