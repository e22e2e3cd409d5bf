# The flake's `lib`: `lib.mkPipeline { inherit pkgs; … }`, or for several of them
# `let inherit (task-pipeline.lib.withPkgs pkgs) mkPipeline runPipeline; in …`.
{ lib, packageFor }:
let
  withPkgs =
    pkgs:
    import ./pipeline.nix {
      inherit lib pkgs;
      task-pipeline = packageFor pkgs;
    };
  of =
    function: args:
    if args ? pkgs then
      (withPkgs args.pkgs).${function} (removeAttrs args [ "pkgs" ])
    else
      throw "task-pipeline.lib.${function}: needs the package set to build for: ${function} { inherit pkgs; … }";
in
{
  inherit withPkgs;
  mkPipeline = of "mkPipeline";
  fromManifest = of "fromManifest";
  runPipeline = of "runPipeline";
  toTOML = import ./toml.nix { inherit lib; } "toTOML";
}
