# `nix fmt`: Nix and Rust code of this folder.
{
  writeShellApplication,
  findutils,
  nixfmt,
  rustfmt,
  cargo,
}:
writeShellApplication {
  name = "task-pipeline-fmt";
  runtimeInputs = [
    findutils
    nixfmt
    rustfmt
    cargo
  ];
  text = ''
    if [ $# -eq 0 ] || [ "$*" = . ]; then
      find . \( -name target -o -name .git \) -prune -o -name '*.nix' -print0 | xargs -0 nixfmt
      cargo fmt
    else
      for path in "$@"; do
        case $path in
          *.nix) nixfmt "$path" ;;
          *.rs) rustfmt --edition 2024 "$path" ;;
        esac
      done
    fi
  '';
}
