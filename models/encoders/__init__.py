"""The one door to the towers: which device, and the runners on torch, CUDA and OpenVINO."""
