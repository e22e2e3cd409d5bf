{
  description = "A pipeline that checks this repository, here and in CI";

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
          job = fromManifest {
            name = "job";
            manifest = ./workflow.toml;
          };
        in
        {
          # `nix run`: the job on this machine; a second run does only what has changed.
          inherit job;

          # `nix build`: the job inside a Nix build, cached by its inputs.
          default = runPipeline {
            pipeline = job;
            src = ./.;
            args = [
              "-locked"
              "-fail-fast"
            ];
          };

          inherit (task-pipeline.packages.${system}) task-pipeline;
        }
      );

      apps = eachSystem (system: {
        default = {
          type = "app";
          program = nixpkgs.lib.getExe self.packages.${system}.job;
        };
      });

      # `nix flake check`: the job must succeed.
      checks = eachSystem (system: {
        job = self.packages.${system}.default;
      });
    };
}
