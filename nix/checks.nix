# `nix flake check`, for one system.
{
  self,
  nixpkgs,
  pkgs,
}:
let
  inherit (pkgs) lib;
  inherit (pkgs.stdenv.hostPlatform) system isLinux;
  package = self.packages.${system}.task-pipeline;
in
{
  inherit package;
  package-runs = package.tests.pipeline;
  inherit (self.packages.${system}) book;

  clippy = package.overrideAttrs (previous: {
    pname = "task-pipeline-clippy";
    nativeBuildInputs = previous.nativeBuildInputs ++ [ pkgs.clippy ];
    buildPhase = "cargo clippy --all-targets --frozen -- -D warnings";
    installPhase = "touch $out";
    postFixup = "";
    doCheck = false;
    doInstallCheck = false;
  });

  format =
    pkgs.runCommand "task-pipeline-format"
      {
        src = lib.fileset.toSource {
          root = ../.;
          fileset = lib.fileset.unions [
            ../Cargo.toml
            ../Cargo.lock
            ../tests/bench/Cargo.toml
            ../tests/fuzz/Cargo.toml
            (lib.fileset.fileFilter (file: file.hasExt "rs" || file.hasExt "nix") ../.)
          ];
        };
        nativeBuildInputs = [
          pkgs.cargo
          pkgs.rustfmt
          pkgs.nixfmt
          pkgs.findutils
        ];
      }
      ''
        export CARGO_HOME=$NIX_BUILD_TOP/cargo
        cd $src
        cargo fmt --all --check
        find . -name '*.nix' -print0 | xargs -0 nixfmt --check
        touch $out
      '';
}
// import ./checks/pipelines.nix {
  inherit pkgs;
  inherit (self.lib.withPkgs pkgs) mkPipeline fromManifest runPipeline;
}
// import ./checks/templates.nix { inherit self nixpkgs pkgs; }
// lib.optionalAttrs isLinux (
  import ./checks/modules.nix { inherit self nixpkgs pkgs; }
  // {
    vm = import ./checks/vm.nix { inherit self pkgs; };
    vm-slurm = import ./checks/vm-slurm.nix { inherit self pkgs; };
  }
)
