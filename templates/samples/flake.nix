{
  description = "Paired reads of many samples against a reference, and one report";

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
      inherit (nixpkgs) lib;
      eachSystem = lib.genAttrs [
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
          program = task-pipeline.packages.${system}.task-pipeline;
          pipeline = fromManifest {
            name = "samples";
            manifest = ./workflow.toml;
          };
        in
        {
          samples = pipeline;
          task-pipeline = program;

          # `nix run .#results`: processes what is new or changed, and rewrites results/.
          results = pkgs.writeShellApplication {
            name = "results";
            text = ''
              ${lib.getExe pipeline} -db ./db -migrate-tainted -run -strict
              rm -rf results.new
              ${lib.getExe program} export -db ./db -to results.new
              rm -rf results
              mv results.new results
              ls results
            '';
          };

          # `nix build`: the same inside a Nix build.
          default = runPipeline {
            inherit pipeline;
            src = ./.;
          };
        }
      );

      apps = eachSystem (
        system:
        let
          app = name: {
            type = "app";
            program = lib.getExe self.packages.${system}.${name};
          };
        in
        {
          default = app "samples";
          results = app "results";
        }
      );

      checks = eachSystem (system: {
        inherit (self.packages.${system}) default;
      });
    };
}
