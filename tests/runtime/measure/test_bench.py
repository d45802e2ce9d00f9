import pytest
from support.progress import Told

from mgdn_edge.runtime.errors import UserError
from mgdn_edge.runtime.measure.bench import bench_networks


@pytest.mark.parametrize("size", [(1, 1), (1, 40), (33, 2)])
def test_small_sizes_can_be_timed(size):
    report = bench_networks(["average"], size=size, frames=3, warmup=0).report
    assert report.size == f"{size[1]}x{size[0]}"
    assert report.networks[0].fuse.n == 3


def test_networks_are_compared_with_the_first():
    report = bench_networks(["average", "guided"], size=(120, 160), frames=10, warmup=2).report
    average, guided = report.networks
    assert (average.network, guided.network) == ("average", "guided")
    assert average.ratio == 1.0
    assert guided.ratio > 5
    assert guided.ratio == pytest.approx(guided.fuse.p50 / average.fuse.p50, abs=1e-3)
    assert (average.fuse.n, average.fuse.warmup) == (10, 2)


def test_frames_are_told():
    told = Told()
    bench_networks(["average", "laplacian"], size=(24, 32), frames=5, warmup=2, progress=told)
    assert (told.steps, told.parts, told.open) == ([("timing", 5)], 5, False)


def test_nothing_to_time_is_refused():
    with pytest.raises(UserError, match="--frames 1 or more"):
        bench_networks(["average"], frames=0)


def test_json(mgdn):
    done = mgdn(
        "bench", "--network=average", "--size=64x48", "--frames=5", "--json", "--compare=laplacian"
    )
    assert (done.code, done.err) == (0, "")
    assert [row["network"] for row in done.summary["networks"]] == ["average", "laplacian"]
    assert done.summary["size"] == "64x48"


def test_table(mgdn):
    done = mgdn("bench", "--network", "average", "--size", "64x48", "--frames", 5)
    for word in ("p50", "p99", "ratio", "64x48"):
        assert word in done.out


@pytest.mark.parametrize("size", ["640", "0x480", "640x", "axb", "-1x5"])
def test_wrong_sizes_are_one_line(mgdn_here, size):
    done = mgdn_here("bench", "--network", "average", "--size", size)
    assert done.code == 2
    assert done.err.count("\n") == 1
    assert "WIDTHxHEIGHT" in done.err
