"""Many sites that share one cloud, on paper: a discrete-event simulation, for planning.

times      how long something takes: distributions of seconds
scenario   what is simulated: sites, the cloud, how long
station    places that serve one query each, and the queue before them
uplink     a site's way to the cloud, with the limits of predictors.upstream
running    `simulate`: one run, and what became of each query
report     what came out: latencies, throughput, shares, utilisation, by site and over all
table      a report for the terminal
objects    what so many nodes are to the API server
scale      the tables of docs/scale.md

    python -m inferencegraph.simulate --nodes 100 --rate 0.5 --hard 0.3 --cloud-replicas 3

SimPy is imported by station, uplink and running alone.
"""
