#!/bin/bash
# On the machines of this Vagrantfile: the cluster's first network, a container on each machine, and who reaches whom.
#
#   ./demo.sh          leaves the containers there, to look around
#   ./demo.sh down     takes them and the network away; the cluster stays
set -euo pipefail
cd "$(dirname "$(readlink -f "$0")")"
machines=(n1 n2 n3)
network=demo

on() { vagrant ssh "$1" -c "sudo sh -c '$2'" </dev/null; }

if [ "${1:-up}" = down ]; then
  for machine in "${machines[@]}"; do
    on "$machine" "warren detach $network --netns demo --if-exists >/dev/null; ip netns del demo 2>/dev/null || true"
  done
  on n1 "warren network rm $network --if-exists"
  exit
fi

vagrant up
on n1 "warren node ls"
on n1 "warren network create $network --if-not-exists"
for machine in "${machines[@]}"; do
  # Again on what is there already it is only looked at.
  on "$machine" "ip netns exec demo true 2>/dev/null || ip netns add demo
    warren endpoint inspect $network/$machine >/dev/null 2>&1 || warren attach $network --netns demo --name $machine >/dev/null"
done
on n1 "warren endpoint ls"
failed=0
for from in "${machines[@]}"; do
  for to in "${machines[@]}"; do
    [ "$from" != "$to" ] || continue
    # By name: every endpoint has a resolver at its gateway.
    if on "$from" "ip netns exec demo ping -c1 -W2 $to.$network >/dev/null"; then
      echo "$from reaches $to.$network"
    else
      echo "$from does not reach $to.$network" >&2
      failed=1
    fi
  done
done
exit $failed
