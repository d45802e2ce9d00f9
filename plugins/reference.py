"""DynamicFilter in numpy: the slow specification every faster implementation is held to.

    out[n, c, y, x] = sum_j kernel[n, j, y, x]
                      * feature[n, c, y + j // K - K // 2, x + j % K - K // 2]

Neighbours outside the image repeat the border. Taps are row-major and not normalised, and the
filter is not flipped: tap 0 is up-left, tap K - 1 up-right.
"""

import numpy as np
import numpy.typing as npt

UPSCALES = (1, 2, 4)

Floats = npt.NDArray[np.float32] | npt.NDArray[np.float64]


def dynamic_filter(
    feature: Floats, kernel: Floats, kernel_size: int, upscale: int = 1
) -> npt.NDArray[np.float32]:
    """(N, C, H, W) float, (N, K*K, H/s, W/s) float -> (N, C, H, W) float32; any range.

    ``kernel_size`` is K, odd; ``upscale`` is s in {1, 2, 4}: the kernel is interpolated
    bilinearly to the feature's size before filtering. Sums run in float64. Raises ValueError
    where shapes or attributes disagree.
    """
    check_shapes(feature.shape, kernel.shape, kernel_size, upscale)
    taps = upscale_bilinear(kernel, upscale)
    height, width = feature.shape[2:]
    reach = kernel_size // 2
    border = ((0, 0), (0, 0), (reach, reach), (reach, reach))
    padded = np.pad(feature.astype(np.float64), border, mode="edge")
    out = np.zeros(feature.shape, np.float64)
    for tap in range(kernel_size * kernel_size):
        dy, dx = divmod(tap, kernel_size)
        out += taps[:, tap : tap + 1] * padded[:, :, dy : dy + height, dx : dx + width]
    return out.astype(np.float32)


def check_shapes(
    feature: tuple[int, ...], kernel: tuple[int, ...], kernel_size: int, upscale: int
) -> None:
    """Raise ValueError unless shapes and attributes fit the operation's contract."""
    if kernel_size < 1 or kernel_size % 2 == 0:
        raise ValueError(f"kernel_size is {kernel_size}; an odd number of at least 1 is needed")
    if upscale not in UPSCALES:
        raise ValueError(f"upscale is {upscale}; one of {UPSCALES} is needed")
    if len(feature) != 4 or len(kernel) != 4:
        raise ValueError(f"feature is {feature} and kernel {kernel}; both must be (N, C, H, W)")
    batch, _, height, width = feature
    wanted = (batch, kernel_size**2, height // upscale, width // upscale)
    if kernel != wanted or height % upscale or width % upscale:
        raise ValueError(
            f"kernel is {kernel} for feature {feature}, kernel_size {kernel_size} and "
            f"upscale {upscale}; (N, K*K, H/s, W/s) is needed, with s dividing H and W"
        )


def upscale_bilinear(planes: Floats, scale: int) -> npt.NDArray[np.float64]:
    """(N, C, h, w) float -> (N, C, h*s, w*s) float64, half-pixel centres, clamped at the border.

    The same as ONNX ``Resize`` with mode ``linear`` and coordinates ``half_pixel``.
    """
    values = planes.astype(np.float64)
    if scale == 1:
        return values
    for axis in (2, 3):
        size = values.shape[axis]
        position = np.clip((np.arange(size * scale) + 0.5) / scale - 0.5, 0, size - 1)
        low = np.floor(position).astype(np.intp)
        high = np.minimum(low + 1, size - 1)
        shape = [1, 1, 1, 1]
        shape[axis] = size * scale
        weight = (position - low).reshape(shape)
        values = (1 - weight) * values.take(low, axis) + weight * values.take(high, axis)
    return values
