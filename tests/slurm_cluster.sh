#!/usr/bin/env bash
# A SLURM cluster of three virtual nodes on this machine, for the tests and for trying `snakemake --profile slurm`:
#
#   tests/slurm_cluster.sh start     then: snakemake --profile slurm --slurm-no-account --slurm-status-command squeue ...
#   tests/slurm_cluster.sh stop      ends what `start` started, and nothing else
#
# Nodes `a` and `b` are the partition `cpu`, node `g` with one GPU (in name only) is the partition `gpu`.
# Needs root and Debian's slurm-wlm and munge (tests/system_packages.sh). It leaves a SLURM that is set up here alone.
set -euo pipefail

home=/run/vidkd-slurm
conf=/etc/slurm/slurm.conf
gres=/etc/slurm/gres.conf
mark="# Written by tests/slurm_cluster.sh of vidkd."
host=$(hostname -s)

refuse() {
    echo "$1" >&2
    exit 3
}

check() {
    [ "$(id -u)" -eq 0 ] || refuse "not root: SLURM cannot be started"
    for program in slurmctld slurmd munged sbatch; do
        command -v "$program" >/dev/null || refuse "$program is missing: tests/system_packages.sh installs it"
    done
    for file in "$conf" "$gres"; do
        [ ! -e "$file" ] || grep -qxF "$mark" "$file" || refuse "$file is of another SLURM"
    done
}

write_conf() {
    mkdir -p /etc/slurm "$home/state"
    chmod 755 "$home"
    printf '%s\n' "$mark" "NodeName=g Name=gpu File=/dev/zero" >"$gres"
    cat >"$conf" <<END
$mark
ClusterName=vidkd
SlurmctldHost=$host(127.0.0.1)
SlurmctldPort=16817
SlurmUser=root
AuthType=auth/munge
AuthInfo=socket=$home/munge.socket,cred_expire=20
CredType=cred/munge
StateSaveLocation=$home/state
SlurmctldPidFile=$home/slurmctld.pid
SlurmctldLogFile=$home/slurmctld.log
SlurmdPidFile=$home/slurmd-%n.pid
SlurmdLogFile=$home/slurmd-%n.log
SlurmdSpoolDir=$home/spool-%n
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
MpiDefault=none
ReturnToService=2
SlurmdParameters=config_overrides
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
SchedulerParameters=sched_interval=5,bf_interval=5
GresTypes=gpu
KillWait=20
MinJobAge=3600
NodeName=a NodeHostname=$host NodeAddr=127.0.0.1 Port=16821 CPUs=2 RealMemory=64000
NodeName=b NodeHostname=$host NodeAddr=127.0.0.1 Port=16822 CPUs=2 RealMemory=64000
NodeName=g NodeHostname=$host NodeAddr=127.0.0.1 Port=16823 CPUs=2 RealMemory=64000 Gres=gpu:1
PartitionName=cpu Nodes=a,b Default=YES MaxTime=1-0
PartitionName=gpu Nodes=g MaxTime=1-0
END
}

wait_for_nodes() {
    for _ in $(seq 60); do
        [ "$(sinfo --noheader --Node --format=%t 2>/dev/null | grep -cx idle)" -eq 3 ] && return
        sleep 0.5
    done
    refuse "the nodes did not come up; see $home/*.log"
}

start() {
    check
    [ ! -e "$home" ] || refuse "it was started already: tests/slurm_cluster.sh stop ends it"
    write_conf
    (umask 077 && head -c 64 /dev/urandom >"$home/munge.key")
    munged --force --key-file="$home/munge.key" --socket="$home/munge.socket" --pid-file="$home/munged.pid" \
        --log-file="$home/munged.log" --seed-file="$home/munged.seed"
    slurmctld -c
    for node in a b g; do
        slurmd -N "$node"
    done
    wait_for_nodes
}

end_jobs() {
    scancel --user=root 2>/dev/null || return 0
    for _ in $(seq 60); do
        [ -n "$(squeue --noheader 2>/dev/null)" ] || return 0
        sleep 0.5
    done
    echo "some jobs did not end" >&2
}

# What ran on a node that was lost: SLURM has forgotten it.
end_orphans() {
    grep --files-with-matches --null-data --line-regexp --text "SLURM_CLUSTER_NAME=vidkd" /proc/[0-9]*/environ 2>/dev/null |
        cut --delimiter=/ --fields=3 | xargs --no-run-if-empty kill -9 2>/dev/null || true
}

end_daemon() {
    kill "$1" 2>/dev/null || return 0
    for _ in $(seq 40); do
        kill -0 "$1" 2>/dev/null || return 0
        sleep 0.25
    done
    kill -9 "$1" 2>/dev/null || true
}

stop() {
    check
    [ ! -e "$conf" ] || end_jobs
    for file in "$home"/slurmd-*.pid "$home/slurmctld.pid" "$home/munged.pid"; do
        [ ! -e "$file" ] || end_daemon "$(cat "$file")"
    done
    end_orphans
    rm -rf "$home" "$conf" "$gres"
}

case "${1:-}" in
start | stop) "$1" ;;
*) refuse "usage: tests/slurm_cluster.sh start|stop" ;;
esac
