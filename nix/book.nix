# The documentation as a book: README, docs and templates, as pages with a search. A link in it
# that leads nowhere fails the build, and so does an option of the modules without a description.
{
  self,
  lib,
  pkgs,
  runCommand,
  nixosOptionsDoc,
  mdbook,
}:
let
  options = import ./module-options.nix { inherit self lib pkgs; };
  page =
    tree:
    (nixosOptionsDoc {
      options = tree;
      # Where an option was declared is a path of this machine's store.
      transformOptions = option: option // { declarations = [ ]; };
    }).optionsCommonMark;
in
runCommand "task-pipeline-book"
  {
    src = lib.fileset.toSource {
      root = ../.;
      fileset = lib.fileset.unions [
        ../README.md
        ../CHANGELOG.md
        ../CONTRIBUTING.md
        ../LICENSE
        ../docs
        ../templates
      ];
    };
    nativeBuildInputs = [ mdbook ];
  }
  ''
    {
      printf '# All options of the modules\n\n[Modules](modules.md) explains how they work together.\n\n'
      printf '## NixOS\n\n'
      sed 's/^#/##/' ${page options.nixos}
      printf '\n## home-manager\n\n'
      sed 's/^#/##/' ${page options.home}
    } > options.md
    bash $src/docs/book $out options.md
  ''
