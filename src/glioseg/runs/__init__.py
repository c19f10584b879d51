"""What the command line does, as functions. Each takes paths and options, reports progress and returns data.

    folder -> read.read -> inspect.inspect
    folder -> read.read -> gather.gather (prepare, split) -> launch.launch -> bundle.write_bundle
           -> evaluate.evaluate_parts -> report.report            (all of it: train.train)
    run -> evaluate.evaluate
    run + scans -> predict.predict

Import from these modules: reading scans needs no torch, and this page loads nothing.
"""
