"""What options can be set to: types without PyTorch, so that a wrong word is refused at once, and shown in help.

What the words mean stands where they are used; `tests/test_choices.py` holds the two together.
"""

from typing import Literal

Arch = Literal["stylegan2", "dcgan"]
GanPrecision = Literal["auto", "fp32", "bf16", "fp16"]
Fit = Literal["crop", "letterbox"]
Space = Literal["w", "w+", "f"]
Pick = Literal["random", "diverse", "uncertain"]
TeacherModel = Literal["mlp", "cnn-s", "cnn-m", "cnn-l"]
Schedule = Literal["short", "paper"]
Features = Literal["all", "paper"]
Labels = Literal["soft", "hard"]
StudentSize = Literal["tiny", "default", "paper"]
Loss = Literal["ce", "dice", "balanced", "focal"]
Geometry = Literal["aligned", "paper"]
Precision = Literal["auto", "fp32", "bf16"]
