#!/usr/bin/env bash
# The aarch64 wheel in user-mode emulation: `make aarch64-test` runs this with the wheel it built.
#
#   tests/aarch64/run.sh PYTHON BUILD    host Python with mgdn-edge; folder with package/, self_test
#
# Debian's arm64 Python is unpacked, not installed: the emulator runs single programs and needs
# neither root file system nor binfmt_misc. ONNX Runtime is JetPack 6's version; 1.28 and later
# crash in qemu-user 7.2.
set -euo pipefail
cd "$(dirname "$0")/../.."
python=$1
build=$(realpath "$2")
root=$build/root
site=$build/site
suite=bookworm # its Python is 3.11, for which there are wheels of all of JetPack 6's versions
mirror=${DEBIAN_MIRROR:-http://deb.debian.org/debian}
qemu=qemu-aarch64-static

step() { printf '[%4d s] %s\n' "$SECONDS" "$*"; }

missing=()
command -v $qemu > /dev/null || missing+=(qemu-user-static)
command -v debootstrap > /dev/null || missing+=(debootstrap)
if [ ${#missing[@]} -gt 0 ]; then
  step "installing ${missing[*]}"
  if [ "$(id -u)" != 0 ] || ! command -v apt-get > /dev/null; then
    echo "missing: ${missing[*]}; as root: apt install ${missing[*]}" && exit 1
  fi
  apt-get update -qq
  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends \
    "${missing[@]}" > "$build/apt.log" || { cat "$build/apt.log" && exit 1; }
fi

if [ ! -e "$root/.complete" ]; then
  step "unpacking an aarch64 Python ($suite) into ${root#"$PWD"/}"
  [ "$(id -u)" = 0 ] || { echo 'debootstrap needs root, once: sudo make aarch64-test' && exit 1; }
  rm -rf "$root"
  debootstrap --arch=arm64 --variant=minbase --foreign --include=python3 \
    $suite "$root" "$mirror" \
    > "$build/debootstrap.log" || { tail "$build/debootstrap.log" && exit 1; }
  for package in "$root"/var/cache/apt/archives/*.deb; do
    dpkg-deb --extract "$package" "$root"
    rm "$package"
  done
  touch "$root/.complete"
fi

# The wheel's own dependencies at JetPack 6's versions, again when either list changes.
wanted=$(cat pyproject.toml tests/requirements-jetpack6.txt | sha256sum)
if [ "$(cat "$site/.complete" 2> /dev/null)" != "$wanted" ]; then
  step "installing aarch64 wheels of the dependencies into ${site#"$PWD"/}"
  rm -rf "$site"
  platforms=(--platform linux_aarch64 --platform manylinux2014_aarch64)
  for minor in {17..36}; do platforms+=(--platform "manylinux_2_${minor}_aarch64"); done
  "$python" -m pip install --quiet --disable-pip-version-check --target "$site" \
    --only-binary=:all: --implementation cp --python-version 3.11 "${platforms[@]}" \
    -r tests/requirements-jetpack6.txt "$build"/wheel/*.whl
  rm -rf "$site"/mgdn_edge* # the wheel under test is unpacked beside it
  echo "$wanted" > "$site/.complete"
fi

emulate() {
  PYTHONPATH=$build/package:$site PYTHONNOUSERSITE=1 PYTHONDONTWRITEBYTECODE=1 \
    $qemu -L "$root" "$root/usr/bin/python3.11" "$@"
}

step 'the self test of the library'
$qemu -L "$root" "$build/self_test" 4

step 'the network of the package, fused here and in emulation'
"$python" tests/aarch64/fused_frames.py write "$build/here.npz"
emulate tests/aarch64/fused_frames.py write "$build/emulated.npz"
"$python" tests/aarch64/fused_frames.py compare "$build/emulated.npz" "$build/here.npz"

step 'mgdn fuse, from drawn cameras to H.264, here and in emulation'
mgdn='from mgdn_edge.cli import main; main()' # its script would start this machine's Python
street='synthetic://night?seed=1&size=320x240&frames=4'
"$python" -c "$mgdn" fuse "$street" "$street" "$build/here.mp4" > /dev/null
emulate -c "$mgdn" fuse "$street" "$street" "$build/emulated.mp4" > /dev/null
"$python" tests/aarch64/fused_frames.py compare-clips "$build/emulated.mp4" "$build/here.mp4"

step 'its 8-bit and float16 files, made here, fused here and in emulation'
street='synthetic://night?seed=1&size=160x120&frames=8'
"$python" -c "$mgdn" quantize mgdn-edge "$street,$street" "$build/lowered.mgdn" > "$build/quantize.log"
"$python" tests/aarch64/fused_frames.py write-lowered "$build/here8.npz" "$build/lowered.mgdn"
emulate tests/aarch64/fused_frames.py write-lowered "$build/emulated8.npz" "$build/lowered.mgdn"
"$python" tests/aarch64/fused_frames.py compare "$build/emulated8.npz" "$build/here8.npz"

step 'the tests of the native library and its ONNX Runtime operation'
emulate -m pytest -q -p no:cacheprovider -r fE \
  -m 'not compiler and not nvcc and not network and not avx2 and not avx512' \
  tests/plugins tests/runtime/backends tests/runtime/picture/test_drawn_scene.py \
  tests/runtime/bundle/test_reader.py
step 'done'
