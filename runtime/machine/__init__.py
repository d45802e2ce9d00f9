"""What figures depend on: the machine's ceilings, and its clocks, temperatures and power.

conditions.py   governor, clocks, temperatures, throttling, power mode, read from /sys and /etc
power.py        watts sampled while something runs, and the energy they add up to
nvml.py         what NVIDIA's driver states about a GPU, where pynvml is installed
ceilings.py     memory bandwidth and float32 arithmetic, as measured
text_file.py    files of /sys and /proc that may not be there
"""
