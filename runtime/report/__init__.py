"""One HTML file on how a run went: verdict, pictures, frame times, figures, machine.

document.py       a template and its values -> the file, written whole
scales.py         values -> percent of a drawing's sides, and the ticks beside it
plots.py          durations -> coordinates of the frame-time plot and the bars
roofline_plot.py  parts of a profile -> coordinates of the roofline plot
pictures.py       planes -> JPEG data URIs, and how a difference is shown
side_files.py     what `mgdn fuse` leaves beside its recording
fuse_report.py, bench_report.py, profile_report.py, accept_report.py   what each command shows;
                  `mgdn check` and `mgdn quantize` have theirs in export and calibration
"""
