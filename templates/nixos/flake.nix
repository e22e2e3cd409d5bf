{
  description = "A machine that runs a pipeline every night";

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
      system = "x86_64-linux";
      pkgs = nixpkgs.legacyPackages.${system};
      nightly = task-pipeline.lib.fromManifest {
        inherit pkgs;
        name = "nightly";
        manifest = ./workflow.toml;
      };
    in
    {
      nixosConfigurations.pipelines = nixpkgs.lib.nixosSystem {
        inherit system;
        specialArgs = { inherit nightly; };
        modules = [
          task-pipeline.nixosModules.default
          ./configuration.nix
        ];
      };

      packages.${system} = {
        default = nightly;
        inherit (task-pipeline.packages.${system}) task-pipeline;
      };

      # The manifest is checked and the unit's script is built; the whole machine is not.
      checks.${system}.nightly =
        let
          inherit (self.nixosConfigurations.pipelines) config;
        in
        pkgs.runCommand "nightly-unit" { } ''
          ln -s ${config.systemd.services.task-pipeline-nightly.serviceConfig.ExecStart} $out
        '';
    };
}
