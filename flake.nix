{
  description = "A pipeline runner for people who live in Nix";

  inputs.nixpkgs.url = "github:NixOS/nixpkgs/nixos-unstable";

  outputs =
    { self, nixpkgs }:
    let
      inherit (nixpkgs) lib;
      systems = [
        "x86_64-linux"
        "aarch64-linux"
        "aarch64-darwin"
      ];
      eachSystem = f: lib.genAttrs systems (system: f nixpkgs.legacyPackages.${system});
      packageFor = pkgs: self.packages.${pkgs.stdenv.hostPlatform.system}.task-pipeline;
    in
    {
      packages = eachSystem (pkgs: rec {
        task-pipeline = pkgs.callPackage ./nix/package.nix { };
        default = task-pipeline;
        # Tests are for who changes it; a job that runs a pipeline does not wait for them.
        task-pipeline-untested = task-pipeline.overrideAttrs (_: {
          doCheck = false;
        });
        book = pkgs.callPackage ./nix/book.nix { inherit self; };
      });

      apps = eachSystem (pkgs: rec {
        task-pipeline = {
          type = "app";
          program = lib.getExe (packageFor pkgs);
          meta = { inherit ((packageFor pkgs).meta) description; };
        };
        default = task-pipeline;
      });

      overlays.default = final: _: { task-pipeline = final.callPackage ./nix/package.nix { }; };

      nixosModules.default = lib.modules.importApply ./modules/nixos.nix { inherit packageFor; };
      homeModules.default = lib.modules.importApply ./modules/home-manager.nix { inherit packageFor; };
      homeManagerModules = self.homeModules; # the older name

      lib = import ./nix/lib.nix { inherit lib packageFor; };

      templates = import ./templates;

      devShells = eachSystem (pkgs: {
        default = pkgs.callPackage ./nix/devshell.nix { task-pipeline = packageFor pkgs; };
      });

      formatter = eachSystem (pkgs: pkgs.callPackage ./nix/formatter.nix { });

      checks = eachSystem (pkgs: import ./nix/checks.nix { inherit self nixpkgs pkgs; });
    };
}
