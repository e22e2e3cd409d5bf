# The documentation as a book: README, docs and templates, as pages with a search. A link in it
# that leads nowhere fails the build.
{
  lib,
  runCommand,
  mdbook,
}:
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
    bash $src/docs/book $out
  ''
