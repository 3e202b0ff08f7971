import json
import shutil
from pathlib import Path

import pytest
from conftest import MakePhoto

from gseg_cli.app import main
from gseg_runtime.class_map import ClassMap

Capture = pytest.CaptureFixture[str]


def test_segment_then_evaluate(model: Path, photos: Path, tmp_path: Path, capsys: Capture) -> None:
    out = tmp_path / "masks"
    assert main(["segment", str(photos), "-o", str(out), "--model", str(model), "--device", "cpu"]) == 0
    shown = capsys.readouterr()
    assert shown.out.startswith(f"{out}: 4 masks, ")
    assert "device: ONNX Runtime, CPU" in shown.err and "4/4 images" in shown.err
    assert f"look at {out / 'gseg-sheet.jpg'}" in shown.err and (out / "gseg-sheet.jpg").is_file()

    assert main(["evaluate", str(out), str(out), "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert answer["command"] == "evaluate" and answer["status"] == "success"
    assert answer["data"]["mean_iou"] == 1 and answer["data"]["images"] == 4
    assert answer["data"]["per_class_iou"]["background"] == 1

    assert main(["evaluate", str(out), str(out), "--classes", str(model)]) == 0
    table = capsys.readouterr().out
    assert "background" in table and "boundary F" in table and "1.0000" in table


def test_segment_takes_the_projects_model(model: Path, photos: Path, tmp_path: Path, capsys: Capture) -> None:
    project, out = tmp_path / "project", tmp_path / "masks"
    call = ["-C", str(project), "segment", str(photos), "-o", str(out)]
    assert main(call) == 1
    assert "--model FILE" in capsys.readouterr().err
    (project / "exports").mkdir(parents=True)
    toml = '[project]\nname = "x"\nresolution = 32\n[gan]\npath = "gan.safetensors"\n'
    (project / "gseg.toml").write_text(toml + ClassMap.of_names(["background", "skin"]).to_toml())
    assert main(call) == 1
    assert "no exported model in this project" in capsys.readouterr().err
    shutil.copy(model, project / "exports" / "model.onnx")
    assert main(call) == 0
    assert (out / "deep" / "a.png").is_file()


def test_exit_codes_tell_some_from_all_and_none(
    model: Path, photos: Path, make_photo: MakePhoto, tmp_path: Path, capsys: Capture
) -> None:
    def segment(source: Path, *flags: str) -> int:
        return main(["segment", str(source), "-o", str(tmp_path / "out"), "--model", str(model), "--json", *flags])

    (photos / "bad.jpg").write_bytes(b"")
    assert segment(photos) == 3
    shown = capsys.readouterr()
    answer = json.loads(shown.out)
    assert answer["status"] == "partial"
    assert (answer["data"]["done"], answer["data"]["failed"]) == (4, 1)
    assert answer["errors"] == [{"message": f"{photos / 'bad.jpg'}: the file is empty", "hint": None}]
    assert f"error: {photos / 'bad.jpg'}" in shown.err

    assert segment(photos, "--resume") == 3  # tried again, and still broken
    make_photo(photos / "bad.jpg")
    assert segment(photos, "--resume") == 0
    assert segment(photos, "--resume") == 0  # nothing left to do
    assert segment(photos) == 1  # in use
    (tmp_path / "all-bad").mkdir()
    assert segment(tmp_path / "all-bad", "--overwrite") == 1  # no photo
    (tmp_path / "all-bad" / "x.jpg").write_bytes(b"")
    capsys.readouterr()
    assert segment(tmp_path / "all-bad", "--overwrite") == 1
    assert json.loads(capsys.readouterr().out)["status"] == "error"
    assert segment(photos, "--overwrite", "--resume") == 2
