# Entries of a step's `packages`, as a manifest holds them.
{ lib, pkgs }:
let
  # `jq`, `python3Packages.numpy`, `curl^bin,dev`: an attribute of nixpkgs and the outputs wanted.
  bareName = "([A-Za-z_][A-Za-z0-9_'-]*(\\.[A-Za-z0-9_'-]+)*)(\\^([a-z*][a-zA-Z0-9_,-]*))?";

  fromNixpkgs =
    where: text:
    let
      parts = builtins.match bareName (lib.removePrefix "nixpkgs#" text);
      attribute = builtins.head parts;
      path = lib.splitString "." attribute;
      outputs = builtins.elemAt parts 3;
      package = lib.attrByPath path null pkgs;
    in
    if !(lib.isDerivation package) then
      throw "${where}: nixpkgs has no package '${attribute}'"
    else if outputs == null then
      [ "${lib.getBin package}" ]
    else
      map (
        output:
        if package ? ${output} then
          "${package.${output}}"
        else
          throw "${where}: the package '${attribute}' has no output '${output}'; it has ${
            lib.concatStringsSep ", " (package.outputs or [ "out" ])
          }"
      ) (if outputs == "*" then package.outputs else lib.splitString "," outputs);
in
{
  # where:     words for error messages
  # overrides: packages by the text that names them in a manifest
  # unknown:   what becomes of a text that this nixpkgs does not answer (a flake reference):
  #            called with the text, gives the list that stands for it
  resolve =
    {
      where,
      overrides ? { },
      unknown,
    }:
    package:
    if !(builtins.isString package) then
      [ "${lib.getBin package}" ]
    else if overrides ? ${package} then
      [ "${lib.getBin overrides.${package}}" ]
    else if lib.hasPrefix "/" package then
      [ package ]
    else if builtins.match "(nixpkgs#)?${bareName}" package != null then
      fromNixpkgs where package
    else
      unknown package;
}
