"""One HTML file on how a run went: verdict, pictures, frame times, figures, machine.

document.py      a template and its values -> the file, written whole
frame_times.py   ledger rows -> the time of each frame, as the pace defines it
plots.py         durations -> coordinates of the frame-time plot and the bars
kept_frames.py   the few frames whose pictures are shown, kept while the stream runs
pictures.py      planes -> JPEG data URIs
environment.py   machine and versions
roofline_plot.py  parts of a profile -> coordinates of the roofline plot
fuse_report.py, bench_report.py, profile_report.py   what each command shows; `mgdn check` has its
                 own in export
"""
