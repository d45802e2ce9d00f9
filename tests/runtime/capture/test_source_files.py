"""What a URI names is known without opening it: files that a run reads are never written."""

import pytest

from mgdn_edge.runtime.capture.sources import open_visible, source_files


def test_a_folder_is_its_images_and_nothing_else(tmp_path, folder_pair):
    visible, _ = folder_pair
    (visible / "rig.toml").write_text("")
    (visible / "below").mkdir()
    with open_visible(str(visible)) as source:
        assert sorted(source_files(str(visible))) == sorted(source.paths)


def test_files_are_named_by_path_or_uri_and_with_options(tmp_path):
    clip = tmp_path / "a b.mp4"
    clip.write_bytes(b"")
    uri = clip.as_uri()
    assert "%20" in uri
    for name in (str(clip), uri, f"{clip}?loop", f"{uri}?loop&fps=9"):
        assert source_files(name) == [clip]
    question = tmp_path / "a b.mp4?loop"
    question.write_bytes(b"")
    assert source_files(str(question)) == [question, clip]
    assert source_files(str(clip), str(clip), str(tmp_path / "none.mp4")) == [clip]


@pytest.mark.parametrize(
    "uri",
    ["", "?loop", "synthetic://night?seed=1", "v4l2:///dev/video0", "rtsp://a/b", "csi://0",
     "gst:videotestsrc ! appsink", "x" * 5000, "a\0b"],
)  # fmt: skip
def test_cameras_scenes_and_impossible_names_are_no_files(tmp_path, monkeypatch, uri):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "here.png").write_bytes(b"")
    assert source_files(uri) == []
