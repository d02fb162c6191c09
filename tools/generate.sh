#!/bin/sh
# Makes the Python code of the .proto files, beside them: *_pb2.py and the types in *_pb2.pyi.
#
#     tools/generate.sh            writes
#     tools/generate.sh --check    writes nothing; fails when what is there is not what would be written
#
# No service stubs are made: servers and clients work from the table diegod/rpc/methods.py.
set -eu
cd "$(dirname "$0")/.."

PATH=$PWD/.venv/bin:$PATH

generate_into() {
    python -m grpc_tools.protoc -I. --python_out="$1" --mypy_out="quiet:$1" \
        diegod/v1/*.proto diegod/internal/v1/*.proto
}

check() {
    fresh=$(mktemp -d)
    trap 'rm -rf "$fresh"' EXIT
    generate_into "$fresh"
    for folder in diegod/v1 diegod/internal/v1; do
        for file in "$folder"/*_pb2.py "$folder"/*_pb2.pyi "$fresh/$folder"/*; do
            name=$folder/${file##*/}
            cmp -s "$name" "$fresh/$name" || {
                echo "$name is not what its .proto says; run tools/generate.sh" >&2
                exit 1
            }
        done
    done
}

case ${1:-} in
--check) check ;;
"") generate_into . ;;
*)
    echo "usage: tools/generate.sh [--check]" >&2
    exit 2
    ;;
esac
