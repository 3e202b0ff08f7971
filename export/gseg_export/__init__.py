"""From a trained network to files that run without PyTorch. Uses torch and onnx; knows nothing of the command line."""
