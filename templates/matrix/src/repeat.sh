# text_repeat N TEXT: TEXT, N times.
text_repeat() {
  case $1 in *[!0-9]* | '') echo "text_repeat: not a number: $1" >&2; return 2 ;; esac # check
  n=$1
  while [ "$n" -gt 0 ]; do printf '%s' "$2"; n=$((n - 1)); done
  echo
}
