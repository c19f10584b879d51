"""What the command line does, as functions. Each takes paths and options, reports progress and returns data.

    folder -> cohorts.read -> cohorts.inspect
    folder -> cohorts.read -> training.gather (prepare, split) -> training.train -> evaluating -> report
    run -> evaluate.evaluate
    run + scans -> predicting.predict

Import from these modules: reading scans needs no torch, and this page loads nothing.
"""
