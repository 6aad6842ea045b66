#!/bin/bash
# On the machines of this Vagrantfile: the cluster's first network, a container on each machine, and who reaches whom.
#
#   ./demo.sh          leaves the containers there, to look around
#   ./demo.sh down     takes them and the network away; the cluster stays
set -euo pipefail
cd "$(dirname "$(readlink -f "$0")")"
machines=(n1 n2 n3)
network=demo

on() { vagrant ssh "$1" -c "sudo sh -ec '$2'" </dev/null; }

# The same on all machines, side by side; fails when it did on one.
everywhere() {
  local machine pid pids=() failed=0
  for machine in "${machines[@]}"; do
    on "$machine" "me=$machine; $1" &
    pids+=($!)
  done
  for pid in "${pids[@]}"; do wait "$pid" || failed=1; done
  return $failed
}

if [ "${1:-up}" = down ]; then
  everywhere "warren detach $network/\$me --if-exists >/dev/null; ip netns del demo 2>/dev/null || true"
  on n1 "warren network rm $network --if-exists >/dev/null"
  exit
fi

vagrant up
on n1 "warren node ls; warren network create $network --if-not-exists"
# Again on what is there already it is only looked at.
everywhere "ip netns exec demo true 2>/dev/null || ip netns add demo
  warren endpoint inspect $network/\$me >/dev/null 2>&1 || warren attach $network --netns demo --name \$me >/dev/null"
on n1 "warren endpoint ls"
# By name: every endpoint has a resolver at its gateway.
everywhere "for to in ${machines[*]}; do
    [ \$to = \$me ] || ip netns exec demo ping -c1 -W2 \$to.$network >/dev/null || { echo \$me does not reach \$to.$network >&2; exit 1; }
    [ \$to = \$me ] || echo \$me reaches \$to.$network
  done"
