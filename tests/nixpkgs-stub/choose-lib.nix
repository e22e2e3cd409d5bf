# The library of nixpkgs where make.sh was given one. Its file sets want a newer Nix than the
# oldest that this project supports.
let
  own = import ./lib.nix;
in
if builtins.pathExists ./nixpkgs-lib then
  import ./nixpkgs-lib // (if builtins ? readFileType then { } else { inherit (own) fileset; })
else
  own
