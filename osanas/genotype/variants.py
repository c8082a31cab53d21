"""The published variants of the networks, as data. Free of torch.

Sources: VoVNet, arXiv 1904.09730, Table 1; VoVNetV2 (CenterMask), arXiv 1911.06667, and its authors' detectron2 code;
timm's ``vovnet.py`` for the ``ese_*`` and ``eca_*`` forms.
"""

from __future__ import annotations

from osanas.genotype.architecture import Architecture, Attention, Conv, Downsample, Stage, Stem


def _variant(
    widths: tuple[int, int, int, int],
    outputs: tuple[int, int, int, int],
    modules: tuple[int, int, int, int],
    *,
    layers: int = 5,
    stem: tuple[int, int, int] = (64, 64, 128),
    downsample: Downsample = "stride",
    conv: Conv = "dense",
    attention: Attention = "none",
    identity: bool = False,
) -> Architecture:
    first, second, third, fourth = (
        Stage(conv_channels=width, out_channels=output, layers=layers, modules=count)
        for width, output, count in zip(widths, outputs, modules, strict=True)
    )
    return Architecture(
        stem=Stem(channels=stem, downsample=downsample),
        stages=(first, second, third, fourth),
        conv=conv,
        attention=attention,
        identity=identity,
    )


_SLIM = (64, 80, 96, 112)
_WIDE = (128, 160, 192, 224)
_SLIM_OUT = (128, 256, 384, 512)
_SLIM_OUT_V2 = (112, 256, 384, 512)
_WIDE_OUT = (256, 512, 768, 1024)
_DW_STEM = (64, 64, 64)


VARIANTS: dict[str, Architecture] = {
    # arXiv 1904.09730, Table 1 (equal to the authors' Caffe models)
    "vovnet27_slim": _variant(_SLIM, _SLIM_OUT, (1, 1, 1, 1), downsample="pool"),
    "vovnet39": _variant(_WIDE, _WIDE_OUT, (1, 1, 2, 2), downsample="pool"),
    "vovnet57": _variant(_WIDE, _WIDE_OUT, (1, 1, 4, 3), downsample="pool"),
    # the authors' PyTorch ports (stigma0617/VoVNet.pytorch, vov-net/VoVNet-Detectron): stride stem, identity adds
    "vovnet27_slim_port": _variant(_SLIM, _SLIM_OUT, (1, 1, 1, 1), identity=True),
    "vovnet39_port": _variant(_WIDE, _WIDE_OUT, (1, 1, 2, 2), identity=True),
    "vovnet57_port": _variant(_WIDE, _WIDE_OUT, (1, 1, 4, 3), identity=True),
    "vovnet75": _variant(_WIDE, _WIDE_OUT, (1, 2, 6, 3), identity=True),
    "vovnet93": _variant(_WIDE, _WIDE_OUT, (1, 3, 8, 3), identity=True),
    # VoVNetV2 as released by its authors (youngwanLEE/vovnet-detectron2): eSE in every module
    "vovnet19_slim_dw_v2": _variant(
        _SLIM, _SLIM_OUT_V2, (1, 1, 1, 1), layers=3, stem=_DW_STEM, conv="depthwise", attention="ese", identity=True
    ),
    "vovnet19_dw_v2": _variant(
        _WIDE, _WIDE_OUT, (1, 1, 1, 1), layers=3, stem=_DW_STEM, conv="depthwise", attention="ese", identity=True
    ),
    "vovnet19_slim_v2": _variant(_SLIM, _SLIM_OUT_V2, (1, 1, 1, 1), layers=3, attention="ese", identity=True),
    "vovnet19_v2": _variant(_WIDE, _WIDE_OUT, (1, 1, 1, 1), layers=3, attention="ese", identity=True),
    "vovnet39_v2": _variant(_WIDE, _WIDE_OUT, (1, 1, 2, 2), attention="ese", identity=True),
    "vovnet57_v2": _variant(_WIDE, _WIDE_OUT, (1, 1, 4, 3), attention="ese", identity=True),
    "vovnet99_v2": _variant(_WIDE, _WIDE_OUT, (1, 3, 9, 3), attention="ese", identity=True),
    # timm's forms: attention in the last module of a stage only
    "vovnet39a": _variant(_WIDE, _WIDE_OUT, (1, 1, 2, 2)),
    "vovnet57a": _variant(_WIDE, _WIDE_OUT, (1, 1, 4, 3)),
    "ese_vovnet19b_slim_dw": _variant(
        _SLIM,
        _SLIM_OUT_V2,
        (1, 1, 1, 1),
        layers=3,
        stem=_DW_STEM,
        conv="depthwise",
        attention="ese_last",
        identity=True,
    ),
    "ese_vovnet19b_dw": _variant(
        _WIDE, _WIDE_OUT, (1, 1, 1, 1), layers=3, stem=_DW_STEM, conv="depthwise", attention="ese_last", identity=True
    ),
    "ese_vovnet19b_slim": _variant(_SLIM, _SLIM_OUT_V2, (1, 1, 1, 1), layers=3, attention="ese_last", identity=True),
    "ese_vovnet19b": _variant(_WIDE, _WIDE_OUT, (1, 1, 1, 1), layers=3, attention="ese_last", identity=True),
    "ese_vovnet39b": _variant(_WIDE, _WIDE_OUT, (1, 1, 2, 2), attention="ese_last", identity=True),
    "ese_vovnet57b": _variant(_WIDE, _WIDE_OUT, (1, 1, 4, 3), attention="ese_last", identity=True),
    "ese_vovnet99b": _variant(_WIDE, _WIDE_OUT, (1, 3, 9, 3), attention="ese_last", identity=True),
    "eca_vovnet39b": _variant(_WIDE, _WIDE_OUT, (1, 1, 2, 2), attention="eca_last", identity=True),
}
"""Published variants by name."""
