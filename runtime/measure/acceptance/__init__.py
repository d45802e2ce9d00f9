"""Acceptance: does a bundle do on this machine what its author saw, and how fast?

accept_request.py  what is asked, and on which backend
verdict.py         one thing that passes, fails or was not measured; the verdict over all of them
subjects.py        which precision at which size, by which variant; opening one, and its parity
filter_library.py  the backend's library of operations: found, checked, loaded
fidelity.py        fused pictures beside those of float32 on the CPU, and on the truth of a scene
timing.py          percentiles of a frame with and without its copies
soak.py            a minute without pause: drift, throttling, temperature, memory
accept_result.py   everything that is sent back
accept.py          all of it in order, kept after every clause
"""
