# Pipelines as packages, for one package set.
{
  lib,
  pkgs,
  task-pipeline,
}:
let
  toTOML = import ./toml.nix { inherit lib; };
  inherit (import ./packages.nix { inherit lib pkgs; }) resolve;

  # Nothing is to be left for the run to resolve: the closure carries all tools.
  resolveHere =
    overrides: where: table:
    table
    // lib.optionalAttrs (table.packages or null != null) {
      packages = lib.concatMap (resolve {
        inherit where overrides;
        unknown =
          text:
          throw "${where}: '${text}' is no package of nixpkgs; give the package itself${
            lib.optionalString (overrides != null) ", as packages.${builtins.toJSON text} = …"
          }";
      }) table.packages;
    };

  # Of a pipeline that runs in the folder of its caller nobody knows the files yet.
  withoutFiles =
    settings:
    let
      without = table: removeAttrs table [ "files" ];
    in
    settings
    // lib.optionalAttrs (settings ? defaults) { defaults = without settings.defaults; }
    // lib.optionalAttrs (settings ? step) { step = map without settings.step; };

  # The manifest's text in a file, read by the program itself before anything is built on it.
  checked =
    name: src: settings:
    pkgs.runCommand "${name}-workflow.toml"
      {
        manifest = toTOML "pipeline '${name}'" settings;
        checked = toTOML "pipeline '${name}'" (if src == null then withoutFiles settings else settings);
        passAsFile = [
          "manifest"
          "checked"
        ];
        nativeBuildInputs = [ task-pipeline ];
      }
      ''
        ${lib.optionalString (src != null) ''
          cp -r ${src}/. .
          chmod -R u+w .
          rm -f workflow.toml workflow.lock
        ''}
        cp "$checkedPath" workflow.toml
        if ! task-pipeline check -manifest workflow.toml; then
          echo "pipeline '${name}': the manifest above has errors" >&2
          exit 1
        fi
        cp "$manifestPath" $out
      '';

  program =
    {
      name,
      settings,
      src,
      strict,
    }:
    let
      manifest = checked name src settings;
      run = "-run" + lib.optionalString strict " -strict";
    in
    pkgs.runCommand name
      {
        passthru = {
          inherit manifest src strict;
          pipelineName = name;
        };
        meta = {
          description = "The pipeline '${name}' as a program";
          mainProgram = name;
        };
      }
      ''
        dir=$out/share/task-pipeline/${name}
        mkdir -p $out/bin $dir
        ${lib.optionalString (src != null) ''
          cp -r ${src}/. $dir/
          chmod u+w $dir
          rm -f $dir/workflow.toml $dir/workflow.lock
        ''}
        ln -s ${manifest} $dir/workflow.toml
        cat > $out/bin/${name} <<EOF
        #!${pkgs.runtimeShell}
        # Without arguments: run. Places before a subcommand are handed to it.
        [ \$# != 0 ] || set -- ${run}
        exec ${lib.getExe task-pipeline} -manifest $dir/workflow.toml ${workdir src} "\$@"
        EOF
        chmod +x $out/bin/${name}
      '';
  workdir = src: lib.optionalString (src == null) "-workdir .";

  withoutEmpty = lib.filterAttrs (_: value: value != null && value != { });
in
{
  # { name; steps; inputs ? [ ]; defaults ? { }; src ? null; strict ? true; } → a package whose program
  # runs the pipeline.
  mkPipeline =
    args:
    let
      name =
        if builtins.isString args.name or null then
          args.name
        else
          throw "mkPipeline: a pipeline has a name: mkPipeline { name = \"…\"; steps = …; }";
      inherit
        (lib.evalModules {
          prefix = [
            "pipeline"
            name
          ];
          modules = [
            ./pipeline-options.nix
            {
              _file = "mkPipeline ${name}";
              config = args;
            }
          ];
        })
        config
        ;
      where = "pipeline '${config.name}'";
      table =
        where: step:
        withoutEmpty (
          resolveHere null where (
            step // { env = lib.mapAttrs (_: v: if builtins.isInt v then toString v else "${v}") step.env; }
          )
        );
      # The start step first, as one reads it.
      steps = lib.mapAttrsToList (n: step: { name = n; } // step) config.steps;
      ordered = lib.filter (s: s.start) steps ++ lib.filter (s: !s.start) steps;
    in
    program {
      inherit (config) name src strict;
      settings =
        withoutEmpty {
          store = withoutEmpty config.store;
          cache = withoutEmpty config.cache;
          publish = withoutEmpty config.publish;
          inherit (config) limits executors;
          defaults = table "${where}, defaults" config.defaults;
          step = map (
            step:
            table "${where}, step '${step.name}'" (
              removeAttrs step [ "start" ] // lib.optionalAttrs step.start { start = true; }
            )
          ) ordered;
        }
        // lib.optionalAttrs (config.params != { }) {
          params = lib.mapAttrs (_: withoutEmpty) config.params;
        }
        // lib.optionalAttrs (config.inputs != [ ]) {
          input = map (input: withoutEmpty (resolveHere null "${where}, input" input)) config.inputs;
        };
    };

  # { manifest; name ? "workflow"; packages ? { }; src ? null; strict ? true; } → the same, of a
  # workflow.toml.
  # Its bare names and `nixpkgs#…` become packages of this nixpkgs; any other text is looked up in
  # `packages`.
  fromManifest =
    {
      manifest,
      name ? "workflow",
      packages ? { },
      src ? null,
      strict ? true,
    }:
    let
      where = "pipeline '${name}'";
      text = lib.importTOML manifest;
      document =
        if text ? include && src == null then
          throw "${where}: the manifest includes others; give the folder that they are in as `src`"
        else
          text;
      resolveTable = resolveHere packages;
    in
    program {
      inherit name src strict;
      settings =
        document
        // lib.optionalAttrs (document ? nix) { nix = removeAttrs document.nix [ "nixpkgs" ]; }
        // lib.optionalAttrs (document ? defaults) {
          defaults = resolveTable "${where}, defaults" document.defaults;
        }
        // lib.optionalAttrs (document ? step) {
          step = map (s: resolveTable "${where}, step '${s.name or "?"}'" s) document.step;
        }
        // lib.optionalAttrs (document ? input) {
          input = map (resolveTable "${where}, input") document.input;
        };
    };

  # { pipeline; src ? the pipeline's own; params ? { }; args ? [ ]; env ? { }; strict ? the pipeline's
  # own; } → a derivation that runs the pipeline with `src` as the folder of its scripts, and with these
  # values of its parameters. Its output holds the final outputs, by name.
  runPipeline =
    {
      pipeline,
      src ? pipeline.src,
      params ? { },
      args ? [ ],
      env ? { },
      strict ? pipeline.strict,
    }:
    let
      given = lib.filterAttrs (_: value: value != null) params;
      arguments =
        lib.optionals (given != { }) [
          "-params"
          "${pkgs.writeText "${pipeline.pipelineName}-params.json" (builtins.toJSON given)}"
        ]
        ++ args;
    in
    pkgs.runCommand "${pipeline.pipelineName}-result"
      (
        env
        // {
          nativeBuildInputs = [ task-pipeline ];
          passthru = { inherit pipeline; };
        }
      )
      ''
        export HOME=$NIX_BUILD_TOP/home
        mkdir -p "$HOME" work
        ${lib.optionalString (src != null) ''
          cp -r ${src}/. work/
          chmod -R u+w work
        ''}
        rm -f work/workflow.toml work/workflow.lock
        cp ${pipeline.manifest} work/workflow.toml
        task-pipeline -manifest work/workflow.toml -db "$NIX_BUILD_TOP/db" -run ${lib.optionalString strict "-strict"} ${lib.escapeShellArgs arguments}
        task-pipeline export -db "$NIX_BUILD_TOP/db" -to "$out"
      '';
}
