#!/bin/sh
# Time the models of this kit on an Android phone that is connected to this computer: push, measure, fetch.
#
#   sh android.sh --tool FILE [--serial SERIAL] [--keep] [OPTIONS OF measure.sh] [-- FLAGS OF THE TOOL]
#
#   --tool FILE       benchmark_model for android_arm64; README.md says where it is from. Libraries (*.so) beside it go to the phone too.
#   --serial SERIAL   which phone, where more than one is connected: adb devices lists them.
#   --keep            leave the models on the phone, for the next run. Default: remove them.
#
# All else goes to measure.sh, which runs on the phone: sh measure.sh --help
set -u

die() { printf 'android.sh: %s\n' "$*" >&2; exit 1; }
# A word as the phone's shell is to read it.
quoted() { printf "'%s'" "$(printf %s "$1" | sed "s/'/'\\\\''/g")"; }

tool='' serial='' keep='' rest=''
while [ $# -gt 0 ]; do
  case $1 in
    -h | --help) sed -n '2,/^set -u/s/^# \{0,1\}//p' "$0" | sed '$d'; exit 0 ;;
    --keep) keep=yes; shift; continue ;;
    --) while [ $# -gt 0 ]; do rest="$rest $(quoted "$1")"; shift; done; break ;;
    --tool | --serial) [ $# -gt 1 ] || die "$1: a value is missing" ;;
    *) rest="$rest $(quoted "$1")"; shift; continue ;;
  esac
  case $1 in --tool) tool=$2 ;; --serial) serial=$2 ;; esac
  shift 2
done
[ -n "$tool" ] || die "--tool is missing: README.md says where benchmark_model is from"
[ -f "$tool" ] || die "$tool: no such file"
command -v adb > /dev/null || die "adb is not here: install Android's platform tools"
kit=$(cd "$(dirname "$0")" && pwd) || exit 1
phone() { if [ -n "$serial" ]; then adb -s "$serial" "$@"; else adb "$@"; fi; }
there=/data/local/tmp/latlint-kit

phone get-state > /dev/null || die "no phone: connect it, allow USB debugging, and look at: adb devices"
phone shell "mkdir -p $there/models $there/results" < /dev/null || die "the phone refuses $there"
phone push "$tool" "$there/benchmark_model" || die "the tool cannot be pushed"
for library in "$(dirname "$tool")"/*.so; do
  [ ! -f "$library" ] || phone push "$library" "$there/" || die "$library cannot be pushed"
done
phone push "$kit/measure.sh" "$there/measure.sh" || die "measure.sh cannot be pushed"
phone push "$kit/models/." "$there/models/" || die "the models cannot be pushed"
phone shell "chmod 755 $there/benchmark_model" < /dev/null || die "the phone refuses to run programs in $there"

phone shell "cd $there && LD_LIBRARY_PATH=$there sh ./measure.sh --tool $there/benchmark_model$rest" < /dev/null
status=$?
mkdir -p "$kit/results" || exit 1
phone pull "$there/results/." "$kit/results/" || die "the results cannot be fetched; they are in $there/results on the phone"
[ -n "$keep" ] || phone shell "rm -rf $there" < /dev/null
[ "$status" -eq 0 ] || die "measuring failed (exit $status)"
echo "next: latlint pack build $(quoted "$kit") --output packs/my-phone"
