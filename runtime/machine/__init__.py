"""What figures depend on: the device, its clocks and temperatures, power, versions.

device.py         the facts about a GPU and its software
conditions.py     governor, clocks, temperatures, throttling, power mode, read from /sys and /etc
power.py          watts sampled while something runs, and the energy they add up to
nvml.py           what NVIDIA's driver says of a GPU, where pynvml is installed
processor_class.py the class of processor a measured speed holds for
ceilings.py       memory bandwidth and float32 arithmetic, as measure/ceilings.py measured them
environment.py    machine, versions and command, as reports state them
page_retention.py freed frame memory stays in the process
text_file.py      files of /sys and /proc that may not be there
"""
