#!/bin/sh
# Something to check: replace this folder by your own, or change `find` in workflow.toml.
if [ $# -eq 0 ]; then set -- world; fi
echo "hello, $*"
