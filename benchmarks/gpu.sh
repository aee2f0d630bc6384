#!/usr/bin/env bash
# Everything there is to find out on a machine with a GPU, in one call of under ten minutes: builds the core
# for that GPU, runs the tests on it and compute-sanitizer over it, measures it beside gsplat, trains beside
# gsplat. Needs nvcc, cmake, ninja and a Python with a CUDA build of PyTorch; no network. See docs/cuda.md.
#
#   benchmarks/gpu.sh --wheels wheels --data data --out results
#
#   --wheels FOLDER          wheels of what that Python lacks (gsplat and the like)
#   --data FOLDER            captures to train on, folders fox and lego; without it no training
#   --out FOLDER             receives summary.md, results.json and logs.txt; default gpu-results
#   --archs LIST             as SPLAT_CUDA_ARCHS, "80;90"; default: those of this machine
#   --budget-seconds N       for everything; default 560
#   --run FOLDER             a trained run to measure beside the procedural scenes
#   --commit ID              to be recorded; default: asked of git
#   --jobs N                 compilers at work at the same time; default: all cores
#   --dry-run                say what would be done
#
# A step that fails or runs out of time does not stop the others. Exit code: 0 all well, 1 a step failed,
# 2 the call is wrong, 77 there is no CUDA device.
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.." || exit 2
root=$PWD

usage() {
    sed -n '2,/^set /s/^# \{0,1\}//p' "benchmarks/gpu.sh" | sed '$d'
}

wheels='' data='' out=gpu-results archs=native budget=560 run='' commit='' dry=''
jobs=$(nproc 2>/dev/null || echo 4)
while (($#)); do
    case $1 in
        --dry-run) dry=1 ;;
        --help | -h) usage && exit 0 ;;
        --wheels | --data | --out | --archs | --budget-seconds | --run | --commit | --jobs)
            (($# > 1)) || { echo "$1 needs a value" >&2 && exit 2; }
            case $1 in
                --wheels) wheels=$(realpath -m -- "$2") ;;
                --data) data=$(realpath -m -- "$2") ;;
                --out) out=$2 ;;
                --archs) archs=$2 ;;
                --budget-seconds) budget=$2 ;;
                --run) run=$(realpath -m -- "$2") ;;
                --commit) commit=$2 ;;
                --jobs) jobs=$2 ;;
            esac
            shift
            ;;
        *) echo "unknown option $1; --help lists them" >&2 && exit 2 ;;
    esac
    shift
done
[[ $budget =~ ^[0-9]+$ && $jobs =~ ^[1-9][0-9]*$ ]] || { echo "--budget-seconds and --jobs take whole numbers" >&2 && exit 2; }
for folder in "$wheels" "$data" "$run"; do
    [[ -z $folder || -d $folder ]] || { echo "$folder is not a folder" >&2 && exit 2; }
done
out=$(realpath -m -- "$out")

python=${PYTHON:-python3}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir -p "$work/steps" "$work/logs" || exit 2
[[ -n $dry ]] || mkdir -p "$out" || exit 2
site=$work/site gsplat_site=$work/gsplat-site
export PYTHONPATH=$site:$root:$root/benchmarks${PYTHONPATH:+:$PYTHONPATH} PYTHONUNBUFFERED=1
export TORCH_EXTENSIONS_DIR=$work/extensions PATH=$site/bin:$PATH
number=0 failed=0 device=''

left() { echo $((budget - SECONDS)); }

# record NUMBER NAME STATUS SECONDS NOTE
record() {
    printf '%s\t%s\t%s\t%s\n' "$2" "$3" "$4" "$5" >"$work/steps/$1.tsv"
    printf '=== %-14s %-8s %4s s  %s\n' "$2" "$3" "$4" "$5"
}

# attempt NUMBER NAME LIMIT COMMAND...: runs it with a time limit and a log of its own, and records it.
attempt() {
    local place=$1 name=$2 limit=$3 begin=$SECONDS code
    shift 3
    timeout -k 10 "$limit" "$@" >"$work/logs/$place-$name.log" 2>&1 </dev/null
    code=$?
    case $code in
        0) record "$place" "$name" ok $((SECONDS - begin)) '' ;;
        77) record "$place" "$name" skipped $((SECONDS - begin)) "$(grep -m1 -o 'skipped: .*' "$work/logs/$place-$name.log")" ;;
        124 | 137) record "$place" "$name" timeout $((SECONDS - begin)) "cut off after $limit s" ;;
        *) record "$place" "$name" failed $((SECONDS - begin)) "exit code $code" ;;
    esac
    return $code
}

# step NAME LIMIT RESERVE COMMAND...: one step, in at most LIMIT seconds and leaving RESERVE of the budget.
# NEEDS names a condition; where it is not empty, the step is skipped with it as the reason.
step() {
    local name=$1 limit=$2 most=$(($(left) - $3)) place
    number=$((number + 1))
    place=$(printf '%02d' $number)
    shift 3
    ((most < limit)) && limit=$most
    if [[ -n $dry ]]; then
        printf '%-14s at most %3s s: %s\n' "$name" "$limit" "${SHOW:-$*}"
    elif [[ -n ${NEEDS:-} ]]; then
        record "$place" "$name" skipped 0 "skipped: $NEEDS"
        return 77
    elif ((limit < 5)); then
        record "$place" "$name" skipped 0 "skipped: no time left"
        return 77
    elif [[ -n ${BACKGROUND:-} ]]; then
        attempt "$place" "$name" "$limit" "$@" &
        last=$!
    else
        attempt "$place" "$name" "$limit" "$@"
    fi
}

facts() {
    echo "cores: $(nproc)"
    grep -m1 'model name' /proc/cpuinfo
    nvidia-smi || echo "nvidia-smi: none"
    nvcc --version || echo "nvcc: none"
    "$python" -c '
import sys, torch
print("python", sys.version)
print("torch", torch.__version__, "for CUDA", torch.version.cuda, "sees a device:", torch.cuda.is_available())
if torch.cuda.is_available():
    print(torch.cuda.get_device_properties(0))'
    "$python" -m pip list 2>/dev/null | grep -iE '^(numpy|torch|nanobind|cmake|ninja|setuptools|pytest|gsplat|triton)' || true
}

# Wheels beside the Python's own packages; gsplat apart from the others, out of sight until it is built.
install_wheels() {
    local -a others=() theirs=()
    local wheel
    for wheel in "$wheels"/*.whl; do
        case ${wheel##*/} in
            gsplat-*) theirs+=("$wheel") ;;
            *) others+=("$wheel") ;;
        esac
    done
    local pip=("$python" -m pip install --quiet --disable-pip-version-check --no-index --no-deps --no-compile --upgrade)
    if ((${#others[@]})); then "${pip[@]}" --target "$site" "${others[@]}" || return; fi
    if ((${#theirs[@]})); then "${pip[@]}" --target "$gsplat_site" "${theirs[@]}" || return; fi
}

build_core() {
    SPLAT_CUDA=1 SPLAT_CUDA_ARCHS=$archs "$python" setup.py build_ext --inplace --parallel "$jobs" || return
    "$python" -c 'from splat import native_core; info = native_core.build_info(); print(info)
assert info["cuda_compiled"] and info["cuda_device"], info["cuda_reason"]'
}

build_gsplat() {
    local capability
    capability=$(nvidia-smi --query-gpu=compute_cap --format=csv,noheader | head -1)
    PYTHONPATH=$gsplat_site:$PYTHONPATH TORCH_CUDA_ARCH_LIST=$capability MAX_JOBS=$jobs nice -n 5 "$python" -c '
from gsplat.cuda._backend import _C
raise SystemExit(_C is None)'
}

# Whatever there is by now goes to --out; called more than once, in case this script itself is cut off.
collect() {
    [[ -n $dry ]] || "$python" benchmarks/gpu_collect.py "$work" "$out" --commit "$commit"
}

# Runs itself for one of the functions above, so that a time limit can be put on it.
shell_step() {
    local name=$1 limit=$2 reserve=$3 function=$4
    SHOW=$function step "$name" "$limit" "$reserve" bash -c "$(declare -f "$function"); $function"
}
export root python site gsplat_site wheels archs jobs

# --- what there is ---------------------------------------------------------------------------------------------
shell_step environment 60 0 facts
if [[ -z $dry ]]; then
    "$python" -c 'import torch; raise SystemExit(not torch.cuda.is_available())' 2>/dev/null || device='no CUDA device'
fi

# --- builds: gsplat's beside our own ----------------------------------------------------------------------------
no_wheels=''
[[ -n $wheels ]] || no_wheels='no --wheels were given'
NEEDS=${device:-$no_wheels} shell_step wheels 60 0 install_wheels
have_gsplat=''
[[ -n $dry || -n $device || -d $gsplat_site ]] || "$python" -c 'from importlib.util import find_spec; raise SystemExit(find_spec("gsplat") is None)' || \
    have_gsplat='gsplat is not there: its wheel belongs into --wheels'
last=''
NEEDS=${device:-$have_gsplat} BACKGROUND=1 shell_step gsplat-build 320 240 build_gsplat
gsplat_job=$last
NEEDS=$device shell_step core-build 300 60 build_core
core=$?
missing=$device
((core == 0)) || missing=${device:-the core was not built}

# --- is it right? The checkers work beside the tests ------------------------------------------------------------
sanitizer=$(command -v compute-sanitizer || { [[ -x /usr/local/cuda/bin/compute-sanitizer ]] && echo /usr/local/cuda/bin/compute-sanitizer; }) || sanitizer=''
no_sanitizer=''
[[ -n $sanitizer || -n $dry ]] || no_sanitizer='compute-sanitizer is not there'
checkers=()
for tool in memcheck racecheck; do
    last=''
    # Without torch's cache every tensor is an allocation of its own, and memcheck sees where it ends.
    NEEDS=${missing:-$no_sanitizer} BACKGROUND=1 step $tool 150 60 env PYTORCH_NO_CUDA_MEMORY_CACHING=1 \
        "${sanitizer:-compute-sanitizer}" --tool $tool --error-exitcode 1 --print-limit 20 "$python" benchmarks/gpu_sanitize.py
    [[ -z $last ]] || checkers+=("$last")
done
parallel=()
if [[ -z $dry ]] && "$python" -c 'import xdist' 2>/dev/null; then parallel=(-n 6); fi
NEEDS=$missing step tests 180 60 env OMP_NUM_THREADS=2 "$python" -m pytest -q -p no:cacheprovider --no-header \
    "${parallel[@]}" tests/gpu --ignore=tests/gpu/test_million.py
for job in "${checkers[@]}"; do wait "$job"; done
[[ -z $gsplat_job ]] || wait "$gsplat_job"
gsplat=(--no-gsplat)
if [[ -n $dry ]] || grep -q $'^gsplat-build\tok' "$work"/steps/*.tsv; then
    gsplat=()
    export PYTHONPATH=$gsplat_site:$PYTHONPATH
fi
NEEDS=$missing step million 60 60 "$python" -m pytest -q -s -p no:cacheprovider --no-header tests/gpu/test_million.py

collect
# --- how fast is it? Nothing else runs now ----------------------------------------------------------------------
runs=()
[[ -z $run ]] || runs=(--run "$run")
NEEDS=$missing step benchmark 150 10 "$python" benchmarks/gpu.py "${gsplat[@]}" "${runs[@]}" --seconds 15 \
    --commit "$commit" --json "$work/benchmark.json" --markdown "$work/benchmark.md"
collect
no_data=''
[[ -n $data ]] || no_data='no --data were given'
time_left=$(($(left) - 25))
NEEDS=${missing:-$no_data} step training 400 10 "$python" benchmarks/gpu_train.py --data "$data" "${gsplat[@]}" \
    --seconds "$time_left" --json "$work/training.json" --markdown "$work/training.md"

# --- what came out ----------------------------------------------------------------------------------------------
[[ -z $dry ]] || exit 0
collect || failed=1
cat "$out/summary.md"
grep -qE $'\t(failed|timeout)\t' "$work"/steps/*.tsv && failed=1
((failed)) && exit 1
[[ -z $device ]] || exit 77
exit 0
