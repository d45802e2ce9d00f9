"""One HTML file that says how a run went: verdict, pictures, frame times, figures, machine.

document.py      a template and its values -> the file, written whole
plots.py         durations -> coordinates of the frame-time plot and the bars
pictures.py      planes -> JPEG data URIs
roofline_plot.py parts of a profile -> coordinates of the roofline plot
side_files.py    the page and the trace beside a fused recording: claimed first, written last
fuse_report.py, bench_report.py, profile_report.py, accept_report.py   what each command shows;
                 `mgdn check` and `mgdn quantize` have their own
"""
