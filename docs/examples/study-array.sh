#!/bin/bash
# A job array of SLURM in which each task trains one run of a study. On the machine from which jobs are submitted:
#
#   glioseg study tum-losses --data /shared/kaggle_3m --out /shared/losses --plan > runs.txt
#   sbatch --array=1-$(wc -l < runs.txt) study-array.sh runs.txt
#
# and once all tasks have ended, for the table and the page:
#
#   glioseg study tum-losses --data /shared/kaggle_3m --out /shared/losses
#
# A task that was interrupted, or whose node died, is submitted again: its run goes on from its checkpoint.
#SBATCH --job-name=study
#SBATCH --cpus-per-task=4
#SBATCH --mem=8G
#SBATCH --time=08:00:00
#SBATCH --signal=B:TERM@300
set -euo pipefail
export OMP_NUM_THREADS="${SLURM_CPUS_PER_TASK:-1}"
command=$(sed -n "${SLURM_ARRAY_TASK_ID}p" "$1")
eval "exec $command" # exec, so that SIGTERM, five minutes before the time is over, reaches the training
