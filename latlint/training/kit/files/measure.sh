#!/bin/sh
# Time the models of this kit on the machine that runs this script: a Linux board, or a phone that android.sh drives.
#
#   sh measure.sh [OPTIONS] [-- FLAGS OF THE TOOL]
#
#   --tool FILE       benchmark_model of LiteRT or TensorFlow Lite, or litert-benchmark of the Python package ai-edge-litert.
#                     Default: ./benchmark_model, or else litert-benchmark.
#   --processor NAME  what the times are of, the second half of the target's name: cpu-4, cpu-1large, gpu, npu. Default: cpu-THREADS.
#   --threads N       CPU threads. Default: 1.
#   --cores LIST      cores to run on, such as 7 or 4-7 or 4,5,6; "any" lets the system choose. Default: the THREADS fastest cores.
#   --passes N        how often all models are timed, one after the other. Default: 3.
#   --seconds S       how long each is timed in a pass. Default: 1.
#   --pause S         seconds of rest before each model. Default: 2.
#   --warmer C        wait while the chip is more than C degrees warmer than at the start, for two minutes at most. Default: 5.
#   --only GLOB       time these models only, such as '*-int8-*'. Default: all.
#   --profile         one pass more, with the time of each op.
#
# What the tool prints goes to results/PROCESSOR/MODEL.PASS.txt, as it is. Run it for each processor that you want to predict for.
set -u
sys=${LATLINT_SYS:-/sys}

die() { printf 'measure.sh: %s\n' "$*" >&2; exit 1; }
whole() { case $2 in '' | *[!0-9]*) die "$1: expected a whole number, got '$2'" ;; esac; }

tool='' processor='' threads=1 cores='' passes=3 seconds=1 pause=2 warmer=5 only='*' profile=''
while [ $# -gt 0 ]; do
  case $1 in
    --) shift; break ;;
    --profile) profile=yes; shift; continue ;;
    -h | --help) sed -n '2,/^set -u/s/^# \{0,1\}//p' "$0" | sed '$d'; exit 0 ;;
    --tool | --processor | --threads | --cores | --passes | --seconds | --pause | --warmer | --only) ;;
    *) die "unknown option '$1': sh measure.sh --help lists all" ;;
  esac
  [ $# -gt 1 ] || die "$1: a value is missing"
  case $1 in
    --tool) tool=$2 ;;
    --processor) processor=$2 ;;
    --threads) whole "$1" "$2"; threads=$2 ;;
    --cores) cores=$2 ;;
    --passes) whole "$1" "$2"; passes=$2 ;;
    --seconds) whole "$1" "$2"; seconds=$2 ;;
    --pause) whole "$1" "$2"; pause=$2 ;;
    --warmer) whole "$1" "$2"; warmer=$2 ;;
    --only) only=$2 ;;
  esac
  shift 2
done
[ "$threads" -gt 0 ] || die "--threads: expected at least 1"
[ "$passes" -gt 0 ] || die "--passes: expected at least 1"
processor=${processor:-cpu-$threads}
case $processor in
  *[!A-Za-z0-9._-]*) die "--processor '$processor': expected letters, digits, dots and dashes" ;;
  cpu | cpu-* | gpu | gpu-* | npu | npu-*) kind=${processor%%-*} ;;
  *) die "--processor '$processor': expected cpu-…, gpu or npu" ;;
esac

# A path of the tool is the caller's, models are the kit's.
case $tool in
  '') if [ -f "$(dirname "$0")/benchmark_model" ]; then tool=$(cd "$(dirname "$0")" && pwd)/benchmark_model; else tool=litert-benchmark; fi ;;
  /*) ;;
  */*) tool=$PWD/$tool ;;
esac
command -v "$tool" > /dev/null || die "$tool: no such program: name benchmark_model with --tool, or pip install ai-edge-litert"
cd "$(dirname "$0")" || die "no way into the kit's folder"
[ -d models ] || die "no folder models here: run the copy of this script that lies in the kit"
case $(echo models/*.tflite) in 'models/*.tflite') die "no .tflite models here: latlint pack kit writes them with --runtime litert" ;; esac

# The cores, as a mask. Fastest: those of the highest clock, and of these the last ones.
clock() { cat "$sys/devices/system/cpu/cpu$1/cpufreq/cpuinfo_max_freq" 2> /dev/null || echo 0; }
fastest() {
  cpu=0
  while [ -d "$sys/devices/system/cpu/cpu$cpu" ]; do
    echo "$(clock "$cpu") $cpu"
    cpu=$((cpu + 1))
  done | sort -k1,1n -k2,2n | tail -n "$threads" | cut -d ' ' -f 2 | tr '\n' ' '
}
listed() {
  echo "$1" | tr , '\n' | while read -r part; do
    case $part in *-*) first=${part%%-*} last=${part#*-} ;; *) first=$part last=$part ;; esac
    whole --cores "$first" && whole --cores "$last"
    while [ "$first" -le "$last" ]; do printf '%s ' "$first"; first=$((first + 1)); done
  done
}
case $cores in
  any) chosen='' ;;
  '') chosen=$(fastest) ;;
  *) chosen=$(listed "$cores") || exit 1 ;;
esac
command -v taskset > /dev/null || { [ -z "$cores" ] || [ "$cores" = any ] || die "--cores needs taskset, which is not here"; chosen=''; }
mask=0
for cpu in $chosen; do
  [ "$cpu" -lt 63 ] || die "--cores: more than 63 cores: name lower ones, or any"
  mask=$((mask | (1 << cpu)))
done
pinned() {
  if [ "$mask" = 0 ]; then "$@"; else taskset "$(printf %x "$mask")" "$@"; fi
}
if ! pinned true; then
  [ -z "$cores" ] || die "cannot run on cores $chosen: name others with --cores, or any"
  chosen='' mask=0
fi

# The warmest of the chip's thermal zones in degrees Celsius; nothing where none can be read. Zones say thousandths, tenths or degrees.
temperature() {
  warmest=''
  for zone in "$sys"/class/thermal/thermal_zone*; do
    kind_of_zone=$(cat "$zone/type" 2> /dev/null) || continue
    case $kind_of_zone in *batt* | *charg* | *usb* | *modem* | *wifi* | *-step | *trip*) continue ;; esac
    degrees=$(cat "$zone/temp" 2> /dev/null) || continue
    case $degrees in '' | *[!0-9]*) continue ;; esac
    [ "$degrees" -lt 1000 ] || degrees=$((degrees / 1000))
    [ "$degrees" -lt 150 ] || degrees=$((degrees / 10))
    [ -n "$warmest" ] && [ "$degrees" -le "$warmest" ] || warmest=$degrees
  done
  echo "$warmest"
}
rest() {
  sleep "$pause"
  waited=0
  while [ -n "$cool" ] && [ "$waited" -lt 120 ] && [ "$(temperature)" -gt $((cool + warmer)) ]; do
    sleep 5
    waited=$((waited + 5))
  done
}

# The tool of the Python package has flags of its own.
case $(basename "$tool") in
  *litert-benchmark* | *benchmark_litert_model*) flavour=python ;;
  *) flavour=native ;;
esac
timed() { # MODEL: run the tool once
  model=$1
  shift
  accelerator=''
  if [ "$flavour" = python ]; then
    [ "$kind" = cpu ] || accelerator=--use_$kind
    set -- --model="$model" --num_threads="$threads" --num_runs="$((20 * seconds))" --warmup_runs=3 "$@"
  else
    [ "$kind" = cpu ] || accelerator=--use_$kind=true
    set -- --graph="$model" --num_threads="$threads" --num_runs=20 --min_secs="$seconds" --max_secs="$((10 * seconds + 10))" "$@"
  fi
  pinned "$tool" "$@" ${accelerator:+"$accelerator"}
}
profiled() {
  model=$1
  shift
  [ "$flavour" = native ] || return 0
  # LiteRT 2 calls it one way, TensorFlow Lite the other; neither takes the other's flag.
  timed "$model" --use_profiler=true "$@" || timed "$model" --enable_op_profiling=true "$@"
}

machine() {
  if command -v getprop > /dev/null; then
    getprop ro.product.model
  elif [ -r /proc/device-tree/model ]; then
    tr -d '\000' < /proc/device-tree/model
  else
    uname -m
  fi
}

out=results/$processor
mkdir -p "$out" || die "$out: cannot be made"
cool=$(temperature)
{
  echo "processor=$processor"
  echo "threads=$threads"
  echo "cores=$chosen"
  echo "tool=$(basename "$tool")"
  echo "flags=$*"
  echo "machine=$(machine)"
  echo "system=$(uname -srm)"
  echo "degrees=$cool"
} > "$out/run.txt"
echo "$processor: $threads threads on cores ${chosen:-that the system chooses}"
[ -n "$cool" ] || echo "no thermal zone can be read here: only pauses keep the chip cool"

done=0 failed=0 pass=1
[ -z "$profile" ] || passes=$((passes + 1))
while [ "$pass" -le "$passes" ]; do
  for model in models/*.tflite; do
    name=$(basename "$model" .tflite)
    # shellcheck disable=SC2254 # a glob, as it is meant
    case $name in $only) ;; *) continue ;; esac
    [ ! -e "$out/$name.failed" ] || [ "$pass" -eq 1 ] || continue
    rm -f "$out/$name.failed"
    rest
    run=$pass
    [ -z "$profile" ] || [ "$pass" -lt "$passes" ] || run=profile
    if [ "$run" = profile ]; then profiled "$model" "$@"; else timed "$model" "$@"; fi > "$out/$name.part" 2>&1 < /dev/null
    status=$?
    if [ "$status" -eq 0 ] && grep -q -e 'Inference (avg)' -e 'Inference timings' "$out/$name.part"; then
      mv "$out/$name.part" "$out/$name.$run.txt"
      done=$((done + 1))
      printf 'pass %s of %s  %-24s %s\n' "$pass" "$passes" "$name" "$(temperature | sed 's/$/ degrees/; s/^ degrees$//')"
    else
      mv "$out/$name.part" "$out/$name.failed"
      failed=$((failed + 1))
      printf 'pass %s of %s  %-24s FAILED (exit %s): see %s\n' "$pass" "$passes" "$name" "$status" "$out/$name.failed"
      if [ "$done" -eq 0 ] && [ "$failed" -eq 3 ]; then
        tail -n 5 "$out/$name.failed" >&2
        die "three models in a row failed: is $tool for this device?"
      fi
    fi
  done
  pass=$((pass + 1))
done
[ "$done" -gt 0 ] || die "no model was timed: --only '$only' names none"
echo "$done runs in $PWD/$out, $failed failed"
