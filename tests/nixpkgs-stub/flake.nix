# A stand-in for the nixpkgs flake, for tests on a machine without a network.
# It builds with the tools of the host (see host.nix, written by ./make.sh), so
# it needs `sandbox = false`, and it offers only what this project's flake uses.
{
  description = "host-tool stand-in for nixpkgs (tests only)";

  outputs =
    { self }:
    let
      lib = import ./choose-lib.nix;
      systems = [
        "x86_64-linux"
        "aarch64-linux"
        "aarch64-darwin"
      ];
      pkgsFor = system: import ./. { inherit system; };
    in
    {
      lib = lib // {
        nixosSystem = import ./nixos-system.nix { inherit lib pkgsFor; };
      };
      # As nixpkgs has it since it dropped the platform: there, and an error to whoever looks.
      legacyPackages = lib.genAttrs systems pkgsFor // {
        x86_64-darwin = throw "nixpkgs no longer supports x86_64-darwin";
      };
    };
}
