"""The default network: sizes, reach, its start, and the packaged weights."""

import numpy as np
import pytest
import torch

from mgdn_edge.export.network_catalogue import EDGE_WEIGHTS, load_network
from mgdn_edge.export.networks.edge import FILTER_SIZE, UPSCALE, MGDNEdge
from mgdn_edge.export.train import count_parameters
from mgdn_edge.export.training_record import read_training_record

pytestmark = pytest.mark.export

FORBIDDEN_SETS = ("llvip", "vifb")  # weights trained on them must not be shipped
# A little under what the packaged weights measured on these 16 pairs: EN 6.88, SF 9.15, AG 3.45,
# SCD 1.66, VIF 0.817, Qabf 0.566.
FLOORS = {"en": 6.8, "sf": 8.7, "ag": 3.3, "scd": 1.6, "vif": 0.78, "qabf": 0.54}


@pytest.fixture(scope="module")
def trained() -> torch.nn.Module:
    return load_network("edge", None, release_padding=False).core


def planes(height: int, width: int, count: int = 1) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(height * width)
    shape = (count, 1, height, width)
    return torch.rand(shape, generator=generator), torch.rand(shape, generator=generator)


def test_an_untrained_network_averages_its_inputs() -> None:
    visible, infrared = planes(32, 48)
    fused = MGDNEdge()(visible, infrared)
    torch.testing.assert_close(fused, (visible + infrared) / 2)


@pytest.mark.parametrize("size", [(4, 4), (4, 64), (36, 52)])
def test_every_multiple_of_the_upscale_keeps_its_size(size: tuple[int, int]) -> None:
    visible, infrared = planes(*size)
    assert MGDNEdge()(visible, infrared).shape == visible.shape


@torch.no_grad()
def test_images_of_a_batch_do_not_touch_each_other(trained: torch.nn.Module) -> None:
    visible, infrared = planes(32, 32, count=3)
    together = trained(visible, infrared)
    for index in range(3):
        alone = trained(visible[index : index + 1], infrared[index : index + 1])
        torch.testing.assert_close(together[index : index + 1], alone, atol=1e-5, rtol=0)


@torch.no_grad()
def test_a_pixel_depends_only_on_its_neighbourhood(trained: torch.nn.Module) -> None:
    """No statistic over the image: a change in one corner leaves the other one bit for bit."""
    visible, infrared = planes(128, 192)
    changed = visible.clone()
    changed[..., :8, :8] = 1 - changed[..., :8, :8]
    before, after = trained(visible, infrared), trained(changed, infrared)
    assert not torch.equal(before[..., :8, :8], after[..., :8, :8])
    assert torch.equal(before[..., 96:, 160:], after[..., 96:, 160:])


@torch.no_grad()
def test_a_warm_person_in_the_dark_stays_bright(trained: torch.nn.Module) -> None:
    visible = torch.full((1, 1, 128, 128), 0.05)
    infrared = torch.full((1, 1, 128, 128), 0.2)
    infrared[..., 40:88, 56:72] = 0.9
    fused = trained(visible, infrared)[0, 0]
    assert fused[50:78, 60:68].mean() > 0.7
    assert fused[:16, :16].mean() < 0.4


@torch.no_grad()
def test_visible_text_survives_a_flat_infrared_image(trained: torch.nn.Module) -> None:
    visible = torch.full((1, 1, 128, 128), 0.3)
    visible[..., 32:96:8, 32:96] = 0.8  # strokes a pixel wide
    infrared = torch.full((1, 1, 128, 128), 0.3)
    fused = trained(visible, infrared)[0, 0]
    contrast = fused[32:96:8, 40:88].mean() - fused[36:96:8, 40:88].mean()
    assert contrast > 0.4  # of the 0.5 that went in


@torch.no_grad()
def test_noise_is_not_amplified(trained: torch.nn.Module) -> None:
    generator = torch.Generator().manual_seed(0)
    flat = torch.full((1, 1, 128, 128), 0.4)
    quiet = trained(flat, flat * 0.5)
    noise = 0.02 * torch.randn(flat.shape, generator=generator)
    noisy = trained(flat + noise, flat * 0.5)
    gain = (noisy - quiet)[..., 16:-16, 16:-16].std() / noise.std()
    assert gain < 1  # 0.6 measured on TNO: the filters smooth a little


def test_the_packaged_weights_say_where_they_come_from() -> None:
    record = read_training_record(EDGE_WEIGHTS)
    assert EDGE_WEIGHTS.stat().st_size < 400_000
    assert record.parameters == count_parameters(MGDNEdge())
    assert record.licences["roadscene"].startswith("RoadScene states no licence")
    assert set(record.licences) == {
        name.rsplit("/vi", 1)[0] for name in record.digests if "/vi" in name
    }
    assert not any(name.startswith(FORBIDDEN_SETS) for name in record.digests)
    assert record.cpu_seconds <= 30 * 60 + 60


def test_the_budget_of_two_gflop_at_640x480_holds() -> None:
    network = MGDNEdge()
    positions = (480 // UPSCALE) * (640 // UPSCALE)
    convolutions = sum(
        2 * positions * layer.weight.numel()
        for layer in network.modules()
        if isinstance(layer, torch.nn.Conv2d)
    )
    filters = 2 * 2 * FILTER_SIZE**2 * 480 * 640
    assert convolutions + filters < 2e9


@pytest.mark.data
def test_training_saw_no_pair_outside_the_train_split(shared) -> None:  # type: ignore[no-untyped-def]
    import csv

    with (shared / "data" / "manifest.csv").open(newline="") as file:
        allowed = {
            row[stream]
            for row in csv.DictReader(file)
            if row["split"] == "train"
            for stream in ("vi", "ir")
        }
    assert set(read_training_record(EDGE_WEIGHTS).digests) == allowed


@pytest.mark.data
@pytest.mark.slow
def test_fusion_of_unseen_scenes_is_at_the_expected_level(shared, trained) -> None:  # type: ignore[no-untyped-def]
    import cv2

    from mgdn_edge.runtime.quality.fusion_metrics import mean_metrics, measure_fusion

    measured = []
    for path in sorted((shared / "data" / "tno" / "vi").iterdir()):
        partner = next((shared / "data" / "tno" / "ir").glob(f"{path.stem}.*"))
        visible, infrared = (cv2.imread(str(p), cv2.IMREAD_GRAYSCALE) for p in (path, partner))
        height, width = visible.shape
        pad = ((0, -height % UPSCALE), (0, -width % UPSCALE))
        inputs = (
            torch.from_numpy(np.pad(p, pad, mode="reflect")[None, None].astype(np.float32) / 255)
            for p in (visible, infrared)
        )
        with torch.no_grad():
            fused = trained(*inputs)[0, 0, :height, :width].numpy()
        luma = np.clip(np.rint(fused * 255), 0, 255).astype(np.uint8)
        measured.append(measure_fusion(luma, visible, infrared))
    mean = mean_metrics(measured)
    for name, floor in FLOORS.items():
        assert getattr(mean, name) > floor, name
