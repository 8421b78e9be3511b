"""ONNX Runtime: the graph that its CPU provider executes, as a plan with a kernel for each node."""
