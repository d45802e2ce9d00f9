"""mgdn-ir: the published multi-focus MGDN's sizes on one luma plane per camera.

The published network has no infrared-visible weights. This one is trained from scratch; it is
the reference the small networks are compared with, and their teacher.
"""

import torch
from torch import nn

from mgdn_edge.export.networks.mgdn import FILTER_SIZE, MGDN, MGDNVariant, MutualGuidedFilter

# The multi-focus variant's sizes with one channel in and out; the visible stream (0) carries the
# residual.
MGDN_IR = MGDNVariant(30, (3, 3), 3, 4, 2, (1, 1), 1, 0)
SMALL_START = 0.1  # of torch's own spread for the kernels' last convolution


def build_mgdn_ir() -> MGDN:
    """The untrained network; every dynamic filter starts close to the identity.

    torch's own start predicts kernels of random sign around zero, which multiply the features
    by about zero in each stage: nothing is learnt until they have grown.
    """
    network = MGDN(MGDN_IR)
    centre = torch.zeros(FILTER_SIZE**2)
    centre[FILTER_SIZE**2 // 2] = 1.0
    with torch.no_grad():
        for module in network.modules():
            if not isinstance(module, MutualGuidedFilter):
                continue
            for predictor in (module.kernel_predictor_ref, module.kernel_predictor_ext):
                last = predictor[-1]
                assert isinstance(last, nn.Conv2d) and last.bias is not None
                last.weight.mul_(SMALL_START)
                last.bias.copy_(centre)
    return network
