"""Where a network's milliseconds go, kernel by kernel, whatever backend ran them.

timeline.py           what a backend measured: kernels in the order they ran, and what is between
onnxruntime_trace.py  ONNX Runtime's profile -> Timeline
profiler_cost.py      what that profile adds to each kernel, measured
tensorrt_layers.py    TensorRT's layer times and engine inspector -> Timeline
join_timeline.py      kernels -> the graph's nodes they compute, by name and by order
roofline.py           bytes and arithmetic of a joined kernel against the machine's ceilings
advice.py             a profile -> three sentences on what to do first
profile.py            profile_network: the paired run, and all of the above
profile_result.py     everything the profile found
profile_words.py      a profile -> the lines above its tables, and the machine it holds for
print_profile.py      a profile -> tables on the terminal
"""
