# wrapProgram TARGET [--suffix NAME SEPARATOR VALUE]... ; a compiled program, as nixpkgs' hook of this name makes.
wrapProgram() {
  local target=$1 hidden source
  shift
  hidden=$(dirname "$target")/.$(basename "$target")-wrapped
  mv "$target" "$hidden"
  source=$(mktemp --suffix=.c)
  {
    printf '#include <stdio.h>\n#include <stdlib.h>\n#include <string.h>\n#include <unistd.h>\n'
    printf 'static void suffix(const char *name, const char *separator, const char *value) {\n'
    printf '  const char *old = getenv(name);\n'
    printf '  if (!old || !*old) { setenv(name, value, 1); return; }\n'
    printf '  char *all = malloc(strlen(old) + strlen(separator) + strlen(value) + 1);\n'
    printf '  strcpy(all, old); strcat(all, separator); strcat(all, value);\n'
    printf '  setenv(name, all, 1);\n}\n'
    printf 'int main(int argc, char **argv) {\n'
    while [ $# -gt 0 ]; do
      case $1 in
        --suffix) printf '  suffix("%s", "%s", "%s");\n' "$2" "$3" "$4"; shift 4 ;;
        *) echo "wrapProgram: unknown flag $1" >&2; return 1 ;;
      esac
    done
    printf '  execv("%s", argv);\n  perror("%s");\n  return 127;\n}\n' "$hidden" "$hidden"
  } > "$source"
  cc -O2 -o "$target" "$source"
}
