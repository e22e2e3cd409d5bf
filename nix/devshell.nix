# `nix develop`: what building, testing and formatting this project takes.
{
  mkShell,
  task-pipeline,
  cargo,
  clippy,
  rustc,
  rustfmt,
  rust-analyzer,
  mdbook,
  nixfmt,
  rustPlatform,
  sqlite,
  jq,
}:
mkShell {
  inputsFrom = [ task-pipeline ];
  packages = [
    cargo
    clippy
    rustc
    rustfmt
    rust-analyzer
    mdbook
    nixfmt
    sqlite
    jq
  ];
  env.RUST_SRC_PATH = rustPlatform.rustLibSrc;
}
