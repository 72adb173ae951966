# SPDX-License-Identifier: GPL-2.0-or-later
# By latency.sh: latency.dat -> latency.svg, in the current folder
set terminal svg size 800,480 font "sans-serif,13" background "white"
set output "latency.svg"
set title "A guest's writes during a backup"
set xlabel "time of a write (ms)"
set ylabel "part of the writes that take longer"
set logscale xy
set xrange [0.01:10000]
set yrange [1e-5:1]
set format x "%g"
set format y "10^{%L}"
set grid
set key bottom left
plot for [i=0:5] "latency.dat" index i using 1:2 with linespoints lw 2 pt 7 ps 0.3 \
    title columnheader(1)
