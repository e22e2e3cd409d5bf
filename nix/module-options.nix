# The options of the modules, for documentation: a tree of those of NixOS and one of home-manager.
{
  self,
  lib,
  pkgs,
}:
let
  # What they set is nobody's option here, and is not looked at.
  optionsOf =
    module:
    (lib.evalModules {
      specialArgs = { inherit pkgs; };
      modules = [
        module
        { _module.check = false; }
      ];
    }).options;
  nixos = optionsOf self.nixosModules.default;
  home = optionsOf self.homeModules.default;
in
{
  nixos.services = { inherit (nixos.services) task-pipeline; };
  home = {
    programs = { inherit (home.programs) task-pipeline; };
    services = { inherit (home.services) task-pipeline; };
  };
}
