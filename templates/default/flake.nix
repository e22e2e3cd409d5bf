{
  description = "A pipeline: the crates of a Cargo.lock as tables";

  inputs = {
    nixpkgs.url = "github:NixOS/nixpkgs/nixos-unstable";
    task-pipeline = {
      url = "github:danhab99/task-pipeline";
      inputs.nixpkgs.follows = "nixpkgs";
    };
  };

  outputs =
    {
      self,
      nixpkgs,
      task-pipeline,
    }:
    let
      eachSystem = nixpkgs.lib.genAttrs [
        "x86_64-linux"
        "aarch64-linux"
        "aarch64-darwin"
      ];
    in
    {
      packages = eachSystem (
        system:
        let
          pkgs = nixpkgs.legacyPackages.${system};
          inherit (task-pipeline.lib.withPkgs pkgs) fromManifest runPipeline;
          crates = fromManifest {
            name = "crates";
            manifest = ./workflow.toml;
          };
        in
        {
          # `nix run`: the pipeline as a program, its tools pinned by flake.lock.
          inherit crates;

          # `nix build`: the pipeline as a derivation; its results are the output.
          default = runPipeline {
            pipeline = crates;
            src = ./.;
          };

          inherit (task-pipeline.packages.${system}) task-pipeline;
        }
      );

      apps = eachSystem (system: {
        default = {
          type = "app";
          program = nixpkgs.lib.getExe self.packages.${system}.crates;
        };
      });

      checks = eachSystem (system: {
        inherit (self.packages.${system}) default;
      });
    };
}
