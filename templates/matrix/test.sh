# test.sh LIBRARY SHELL: every tests/*.sh with the library, each in a SHELL of its own.
library=$1
shell=$2
count=0
for test in tests/*.sh; do
  if "$shell" -e -c '. "$1"; . "$2"' - "$library" "./$test"; then
    count=$((count + 1))
  else
    echo "$test failed in $shell" >&2
    exit 1
  fi
done
echo "$count tests passed"
