# Every template as if instantiated: its outputs, with this flake and this nixpkgs for its inputs,
# and of those all checks and packages.
{
  self,
  nixpkgs,
  pkgs,
}:
let
  inherit (pkgs) lib;
  inherit (pkgs.stdenv.hostPlatform) system;

  check =
    name: template:
    let
      outputs = (import (template.path + "/flake.nix")).outputs {
        inherit nixpkgs;
        task-pipeline = self;
        self = outputs;
      };
      of =
        kind:
        lib.mapAttrsToList (n: path: {
          name = "${kind}-${n}";
          inherit path;
        }) (outputs.${kind}.${system} or { });
    in
    pkgs.linkFarm "template-${name}" (of "packages" ++ of "checks");
in
lib.mapAttrs' (
  name: template: lib.nameValuePair "template-${name}" (check name template)
) self.templates
