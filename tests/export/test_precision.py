"""Half precision and 8 bits: still the same labels, and each in the form that its engine takes."""

import tracemalloc
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, numpy_helper
from PIL import Image

from gseg_cli.distill.lite_net import LiteNet
from gseg_export.graph import finish
from gseg_export.precision import to_fp16, to_int8
from gseg_export.source import Source, run_onnx
from gseg_export.verification_images import clouds, read_photos
from gseg_runtime.backends.base import LABELS
from gseg_runtime.backends.ort import OrtBackend
from gseg_runtime.errors import GsegError, ImageError
from tests.export.student import SIZE, plain_card


def run(graph: onnx.ModelProto, pictures: np.ndarray) -> np.ndarray:
    return run_onnx(finish(graph, plain_card()).onnx, Path("model.onnx"))(pictures)


def test_half_precision_keeps_the_labels_and_the_types_outside(full_source: Source) -> None:
    before = full_source.graph.SerializeToString()
    half = to_fp16(full_source.graph)
    assert full_source.graph.SerializeToString() == before
    pictures = clouds(size=SIZE, count=4).images
    assert (run(half, pictures) == full_source.label(pictures)).mean() > 0.99
    kinds = [tensor.type.tensor_type.elem_type for tensor in [*half.graph.input, *half.graph.output]]
    assert kinds == [TensorProto.UINT8, TensorProto.UINT8, TensorProto.UINT8, TensorProto.FLOAT]
    weights = [tensor for tensor in half.graph.initializer if len(tensor.dims) == 4]
    assert weights and all(tensor.data_type == TensorProto.FLOAT16 for tensor in weights)


@pytest.mark.parametrize("for_tensorrt", [False, True])
def test_eight_bits_keep_the_labels_on_pictures_they_were_not_calibrated_on(
    full_source: Source, for_tensorrt: bool, capfd: pytest.CaptureFixture[str]
) -> None:
    graph = to_int8(full_source.graph, clouds(size=SIZE, seed=3, count=16).images, for_tensorrt=for_tensorrt)
    assert capfd.readouterr() == ("", "")
    pictures = clouds(size=SIZE, seed=4, count=8).images
    assert (run(graph, pictures) == full_source.label(pictures)).mean() > 0.97
    kept = [node.input[0] for node in graph.graph.node if node.op_type == "ArgMax"]
    assert [node.op_type for node in graph.graph.node if node.output[0] in kept] == ["Conv"]  # logits stay float


def test_the_first_layers_of_a_pretrained_student_stay_in_float(lite0: tuple[LiteNet, onnx.ModelProto]) -> None:
    pictures = clouds(size=lite0[0].config.input_size, count=2).images
    graph = to_int8(lite0[1], pictures).graph
    made_by = {output: node.op_type for node in graph.node for output in node.output}
    is_float = [made_by.get(node.input[1]) != "DequantizeLinear" for node in graph.node if node.op_type == "Conv"]
    assert is_float[:8] == [True] * 8 and is_float[-1] and not any(is_float[8:-1])


def test_weights_of_full_eight_bits_keep_the_labels_in_the_runtime_on_every_processor(
    full_source: Source, tmp_path: Path
) -> None:
    graph = to_int8(full_source.graph, clouds(size=SIZE, seed=3, count=16).images, for_tensorrt=True)
    model = tmp_path / "model.onnx"
    model.write_bytes(finish(graph, plain_card()).onnx)
    pictures = clouds(size=SIZE, seed=4, count=8).images
    labels = [OrtBackend(model).infer(picture[None], [LABELS])[0][0] for picture in pictures]
    assert (np.stack(labels) == full_source.label(pictures)).mean() > 0.97


def test_the_two_kinds_of_eight_bits_have_the_types_their_engines_ask_for(full_source: Source) -> None:
    pictures = clouds(size=SIZE, count=2).images
    for for_tensorrt, activation in ((False, TensorProto.UINT8), (True, TensorProto.INT8)):
        graph = to_int8(full_source.graph, pictures, for_tensorrt=for_tensorrt).graph
        constants = {tensor.name: tensor for tensor in graph.initializer}
        quantize = [node for node in graph.node if node.op_type == "QuantizeLinear"]
        zero_points = [constants[node.input[2]] for node in quantize]
        assert len(quantize) > 10
        assert {tensor.data_type for tensor in zero_points} == {activation}
        weights = [constants[name] for name in constants if name.endswith("weight_quantized")]
        assert Counter(tensor.data_type for tensor in weights) == {TensorProto.INT8: 14}  # all but the last
        largest = max(abs(numpy_helper.to_array(tensor).astype(int)).max() for tensor in weights)
        assert largest == (127 if for_tensorrt else 64)  # where CPUs add two products in 16 bits, more would overflow
        has_int_bias = any(tensor.data_type == TensorProto.INT32 for tensor in constants.values())
        assert has_int_bias is not for_tensorrt
        if for_tensorrt:
            assert not any(np.any(onnx.numpy_helper.to_array(tensor)) for tensor in zero_points)


def test_no_picture_is_both_calibrated_and_verified_on(photos: Path, tmp_path: Path) -> None:
    for verify in (None, photos):
        used, others = read_photos(plain_card(), photos, verify)
        assert (len(used), len(others.images), others.kind) == (9, 3, "other photo")
        assert not any(np.array_equal(one, other) for one in used for other in others.images)
    (tmp_path / "only.png").symlink_to(photos / "00.png")
    with pytest.raises(GsegError, match="expected at least 2 photos, got 1"):
        read_photos(plain_card(), tmp_path, None)
    assert read_photos(plain_card(), photos, tmp_path)[1].counted == f"1 calibration photo from {tmp_path}"
    (tmp_path / "second.png").symlink_to(photos / "01.png")
    assert read_photos(plain_card(), photos, tmp_path)[1].counted == f"1 other photo from {tmp_path}"
    assert read_photos(plain_card(), None, tmp_path)[1].counted == f"2 photos from {tmp_path}"
    used, others = read_photos(plain_card(), tmp_path, None)
    assert (len(used), len(others.images)) == (1, 1)


def test_the_proof_leaves_out_photos_that_cannot_be_read_and_says_so(photos: Path) -> None:
    (photos / "05.png").write_text("no photo")
    _, others = read_photos(plain_card(), None, photos)
    assert others.counted == f"11 photos from {photos} (1 more cannot be read)"


def test_broken_photos_are_named_together(photos: Path, tmp_path: Path) -> None:
    for index in range(4):
        (tmp_path / f"{index}.png").write_text("no photo")
    with pytest.raises(ImageError, match=r"0\.png: not a .*; .*3\.png: not a [^;]*$") as caught:
        read_photos(plain_card(), tmp_path, photos)
    assert caught.value.hint == "remove them, or name another folder of photos"
    for index in range(4, 7):
        (tmp_path / f"{index}.png").write_text("no photo")
    with pytest.raises(ImageError, match=r"4\.png: [^;]*; and 2 more photos$"):
        read_photos(plain_card(), photos, tmp_path)


def test_of_photos_in_tiles_the_middle_is_looked_at_and_no_more_is_kept(tmp_path: Path) -> None:
    rng, count = np.random.default_rng(0), 12
    for index in range(count):
        noise = rng.integers(0, 256, (SIZE * 9 // 2, SIZE * 6, 3), np.uint8)  # an even number of rows of tiles
        Image.fromarray(noise).save(tmp_path / f"{index:02}.png")
    card = replace(plain_card(), resize="tiles", tile=SIZE)
    tracemalloc.start()
    _, others = read_photos(card, None, tmp_path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    top, left = SIZE * 2, SIZE * 5 // 2
    assert (others.images[-1] == noise[top:, left:][:SIZE, :SIZE]).all()
    assert peak < count / 2 * noise.nbytes
