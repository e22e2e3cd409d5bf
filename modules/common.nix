# What the NixOS and the home-manager module share: the options of a pipeline, its manifest and
# the command that runs it.
{
  lib,
  pkgs,
}:
let
  inherit (lib) mkOption types;

  toTOML = import ../nix/toml.nix { inherit lib; };
  inherit (import ../nix/packages.nix { inherit lib pkgs; }) resolve;

  # A manifest in Nix. Free in form: the program itself says what a step may hold.
  value =
    let
      one =
        types.nullOr (
          types.oneOf [
            types.bool
            types.int
            types.float
            types.str
            types.package
            types.path
            (types.listOf one)
            (types.attrsOf one)
          ]
        )
        // {
          description = "TOML value or package";
        };
    in
    one;
  manifestType = types.submodule {
    freeformType = types.attrsOf value;
    options.step = mkOption {
      type = types.listOf (
        types.submodule {
          freeformType = types.attrsOf value;
          options = {
            name = mkOption {
              type = types.nonEmptyStr;
              description = "Name of the step.";
            };
            script = mkOption {
              type = types.lines;
              description = "The script of the step.";
            };
          };
        }
      );
      description = "The steps.";
    };
  };

  unitName = "[a-zA-Z0-9][a-zA-Z0-9_.-]*";
in
rec {
  inherit unitName;

  # How long systemd waits for a run that it stops: for its scripts, and until all is recorded.
  stopTime = pipeline: "${toString (pipeline.grace + 55)}s";

  # stateDir: name → the folder that holds db and manifest, unless `db` is set
  # stateDirText: the same in words, for the manual
  pipelineOptions =
    {
      stateDir,
      stateDirText,
    }:
    { name, config, ... }:
    {
      options = {
        enable = lib.mkEnableOption "the pipeline" // {
          default = true;
        };

        manifest = mkOption {
          type = types.nullOr types.path;
          default = null;
          example = lib.literalExpression "./workflow.toml";
          description = ''
            The manifest. A Nix path is checked when the configuration is built, and a
            `workflow.lock` beside it is taken along; a string such as
            `"/srv/pipeline/workflow.toml"` is used where it lies, unchecked; the service can
            read it there, not write, so its lock file has to be there already. Exactly one of
            `manifest` and `settings` is set.
          '';
        };

        settings = mkOption {
          type = types.nullOr manifestType;
          default = null;
          example = lib.literalExpression ''
            {
              step = [
                {
                  name = "fetch";
                  start = true;
                  packages = [ pkgs.curl ];
                  script = "curl -sSf https://example.org/list > \"$OUTPUT_DIR/sort\"";
                }
                {
                  name = "sort";
                  script = "sort \"$INPUT_FILE\" > \"$OUTPUT_DIR/sorted.txt\"";
                }
              ];
            }
          '';
          description = ''
            The manifest as Nix attributes, checked when the configuration is built. Packages are
            derivations or strings. Without `settings.nix.nixpkgs` a bare name is looked up in the
            nixpkgs of this configuration; any other string is left to the first run, which pins
            it in a `workflow.lock` beside the state.
          '';
        };

        src = mkOption {
          type = types.nullOr types.path;
          default = null;
          example = lib.literalExpression "./.";
          description = ''
            A folder with the files that the pipeline names (`files`, `[[input]]`). Its scripts start in
            its copy in the Nix store.
          '';
        };

        db = mkOption {
          type = types.externalPath;
          default = "${stateDir name}/db";
          defaultText = lib.literalExpression ''"${stateDirText}/db"'';
          description = "Folder of the pipeline's state and objects.";
        };

        schedule = mkOption {
          type = types.nullOr types.singleLineStr;
          default = null;
          example = "daily";
          description = ''
            When the pipeline runs, as a systemd calendar expression (systemd.time(7)); null for
            never by itself.
          '';
        };

        persistent = mkOption {
          type = types.bool;
          default = true;
          description = "Whether a run that was missed is made up for at the next start.";
        };

        timerConfig = mkOption {
          type = types.attrsOf types.anything;
          default = { };
          example = {
            RandomizedDelaySec = "1h";
          };
          description = "More settings of the timer (systemd.timer(5)); they win over those above.";
        };

        fresh = mkOption {
          type = types.bool;
          default = config.schedule != null;
          defaultText = lib.literalExpression "schedule != null";
          description = ''
            Whether each run seeds a new runset. Without it, a run goes on with the newest one and
            has nothing to do when that is complete.
          '';
        };

        migrateTainted = mkOption {
          type = types.bool;
          default = false;
          description = "Whether finished tasks of steps that have changed since are run again.";
        };

        executor = mkOption {
          type = types.nullOr types.singleLineStr;
          default = null;
          example = "cluster";
          description = ''
            Who carries out the tasks of all steps: one of the manifest's `executors`, `slurm`,
            `ssh:HOST,…`, or `local`. Null: as each step says.
          '';
        };

        parallel = mkOption {
          type = types.nullOr types.ints.positive;
          default = null;
          description = "Most tasks at once; null for the number of processors.";
        };

        cpus = mkOption {
          type = types.nullOr types.ints.positive;
          default = null;
          description = "Processors for tasks whose steps ask for `cpus`; null for all that the service may use.";
        };

        memory = mkOption {
          type = types.nullOr types.singleLineStr;
          default = null;
          example = "64G";
          description = "Memory for tasks whose steps ask for `memory`; null for all that the service may use.";
        };

        gpus = mkOption {
          type = types.nullOr (types.either types.ints.unsigned types.singleLineStr);
          default = null;
          example = "0,2";
          description = ''
            GPUs for tasks whose steps ask for `gpus`: how many, or which; null for those that are found. The
            service has to be allowed to use their devices (`serviceConfig`).
          '';
        };

        limits = mkOption {
          type = types.attrsOf types.ints.positive;
          default = { };
          example = {
            database = 2;
          };
          description = "Other limits than those in the manifest's `limits`, by name.";
        };

        enforceMemory = mkOption {
          type = types.bool;
          default = false;
          description = ''
            Whether a task that takes more memory than its step asks for is killed, and tried again with more if
            the step says so. The control group of the service is delegated to it for that (`Delegate`).
          '';
        };

        grace = mkOption {
          type = types.ints.positive;
          default = 5;
          description = ''
            Seconds that scripts have to end when the service is stopped or their time is over, before
            they are killed. The service has 55 seconds more to record where it stopped
            (`TimeoutStopSec`).
          '';
        };

        locked = mkOption {
          type = types.bool;
          default = false;
          description = "Whether a run fails where the lock file is missing or stale.";
        };

        params = mkOption {
          type = types.attrsOf (
            types.nullOr (
              types.oneOf [
                types.bool
                types.int
                types.float
                types.str
              ]
            )
          );
          default = { };
          example = {
            threshold = 0.7;
          };
          description = ''
            Values of the manifest's parameters, checked when the configuration is built; null is what
            is not given. Everyone can read them in the Nix store.
          '';
        };

        gc = {
          keepRunsets = mkOption {
            type = types.nullOr types.ints.positive;
            default = null;
            example = 30;
            description = ''
              How many runsets stay, those that ran last; with the others go the objects that they alone
              need. Null: all.
            '';
          };
          olderThan = mkOption {
            type = types.nullOr types.singleLineStr;
            default = null;
            example = "30d";
            description = "Of the runsets that stay, superseded tasks go that ended longer ago than that.";
          };
          maxSize = mkOption {
            type = types.nullOr types.singleLineStr;
            default = null;
            example = "50G";
            description = "As many of the oldest runsets go as it takes for the objects to take no more room than that.";
          };
          schedule = mkOption {
            type = types.nullOr types.singleLineStr;
            default = null;
            example = "weekly";
            description = ''
              When that is done, as a systemd calendar expression (systemd.time(7)), by a service of its
              own, `task-pipeline-<name>-gc`; null for after each run that has ended with success, if any
              of the others or `evict.maxSize` is set.
            '';
          };
        };

        evict.maxSize = mkOption {
          type = types.nullOr types.singleLineStr;
          default = null;
          example = "50G";
          description = ''
            After what `gc` removes, and at the same time: as many bytes that can be made again go as it
            takes for the objects to take no more room than that. Null: none.
          '';
        };

        environmentFile = mkOption {
          type = types.nullOr types.externalPath;
          default = null;
          example = "/run/secrets/pipeline.env";
          description = ''
            A file with environment variables of the service (systemd.exec(5)), outside the Nix
            store, which everyone can read. Steps that read them name them in `keep`: a `pure` one
            sees no others, and of each the values in `keep` are a part of the version.
          '';
        };

        credentials = mkOption {
          type = types.attrsOf types.externalPath;
          default = { };
          example = {
            token = "/run/secrets/api-token";
          };
          description = ''
            Files outside the store that are the secrets of those names for the steps that list them in
            `secrets`; other scripts read them as `$CREDENTIALS_DIRECTORY/<name>` (systemd.exec(5),
            LoadCredential).
          '';
        };

        extraArgs = mkOption {
          type = types.listOf types.str;
          default = [ ];
          example = [ "-fail-fast" ];
          description = "More arguments for `task-pipeline`.";
        };

        serviceConfig = mkOption {
          type = types.attrsOf types.anything;
          default = { };
          example = {
            MemoryMax = "4G";
          };
          description = "Settings of the service (systemd.exec(5) and others); they win over the module's.";
        };
      };
    };

  # The arguments that give the parameters.
  params =
    name: cfg:
    let
      given = lib.filterAttrs (_: value: value != null) cfg.params;
    in
    lib.optionals (given != { }) [
      "-params"
      "${pkgs.writeText "task-pipeline-${name}-params.json" (builtins.toJSON given)}"
    ];

  # The call that removes what is not to be kept; null where nothing of that is asked for.
  gcScript =
    package: folder: cfg: workDir:
    let
      call = words: lib.escapeShellArgs ([ (lib.getExe package) ] ++ words);
      db = [
        "-db"
        (toString cfg.db)
      ];
      manifest = if folder == null then toString cfg.manifest else "${workDir}/workflow.toml";
      given =
        option: value:
        lib.optionals (value != null) [
          option
          (toString value)
        ];
      options =
        given "-keep-runsets" cfg.gc.keepRunsets
        ++ given "-older-than" cfg.gc.olderThan
        ++ given "-max-size" cfg.gc.maxSize;
    in
    if options == [ ] && cfg.evict.maxSize == null && cfg.gc.schedule == null then
      null
    else
      pkgs.writeShellScript "task-pipeline-gc" ''
        set -e
        ${lib.optionalString (options != [ ] || cfg.gc.schedule != null) (call (db ++ [ "gc" ] ++ options))}
        ${lib.optionalString (cfg.evict.maxSize != null) ''
          # What can be made again is known by the manifest of the last run.
          if [ -e ${lib.escapeShellArg manifest} ]; then
            ${
              call (
                [
                  "-manifest"
                  manifest
                ]
                ++ db
                ++ workdir cfg
                ++ [
                  "evict"
                  "-max-size"
                  cfg.evict.maxSize
                ]
              )
            }
          fi
        ''}
      '';

  # Whether a service of its own does it.
  gcAlone = cfg: cfg.gc.schedule != null;

  # Beside a run it is refused, and tried again.
  gcRetry = {
    Restart = "on-failure";
    RestartSec = "10min";
  };

  # What has to hold before a unit is written, in words that say what to do.
  assertions =
    option: pipelines: name: cfg:
    let
      at = "${option}.${builtins.toJSON name}";
    in
    [
      {
        assertion = cfg.gc.schedule == null || !(pipelines ? "${name}-gc");
        message = "${at}: `gc.schedule` makes a unit called like that of the pipeline ${builtins.toJSON "${name}-gc"}: rename one of them.";
      }
      {
        assertion = builtins.match unitName name != null;
        message = "${at}: a pipeline's name is part of a unit's name: letters, digits, '_', '.' and '-' only, the first a letter or a digit.";
      }
      {
        assertion = cfg.manifest != null || cfg.settings != null;
        message = "${at}: set `manifest` (a file) or `settings` (the manifest in Nix); neither is set.";
      }
      {
        assertion = cfg.manifest == null || cfg.settings == null;
        message = "${at}: both `manifest` and `settings` are set; keep one of them.";
      }
    ];

  # Where scripts start, if it is not beside the manifest.
  workdir =
    cfg:
    lib.optionals (cfg.src != null) [
      "-workdir"
      "${cfg.src}"
    ];

  # Whether tasks may be carried out elsewhere, by programs of the system (`ssh`, `srun`).
  goesOut =
    cfg:
    cfg.executor != null
    || (cfg.settings or null) != null && cfg.settings ? executors
    || builtins.isPath cfg.manifest && lib.importTOML cfg.manifest ? executors;

  # The names of the files that the manifest may include, a line each.
  partsList = ".task-pipeline-parts";

  # A folder with workflow.toml, checked by the program, and the lock file that belongs to it;
  # null where the manifest lies outside the store.
  manifestFolder =
    package: option: name: cfg:
    let
      where = "${option}.${name}";
      inStore = builtins.isPath cfg.manifest || lib.hasPrefix builtins.storeDir (toString cfg.manifest);
      lockOf = manifest: lib.removeSuffix ".toml" (toString manifest) + ".lock";
      lock = /. + lockOf cfg.manifest;
      # The folder with what the manifest may include; of a source tree its TOML files alone.
      parts =
        if !(builtins.isPath cfg.manifest) then
          lib.optionalString (dirOf "${cfg.manifest}" != builtins.storeDir) (dirOf "${cfg.manifest}")
        else
          lib.optionalString (lib.importTOML cfg.manifest ? include) "${
            builtins.path {
              name = "task-pipeline-${name}-parts";
              path = dirOf cfg.manifest;
              filter = path: type: type == "directory" || lib.hasSuffix ".toml" path;
            }
          }";
      keepText = cfg.settings.nix.nixpkgs or null != null;
      resolveIn =
        where: table:
        table
        // lib.optionalAttrs (builtins.isList table.packages or null) {
          packages = lib.concatMap (
            package:
            if keepText && builtins.isString package then
              [ package ]
            else
              resolve {
                inherit where;
                unknown = text: [ text ];
              } package
          ) table.packages;
        };
      document =
        cfg.settings
        // {
          step = map (s: resolveIn "${where}, step '${s.name}'" s) cfg.settings.step;
        }
        // lib.optionalAttrs (builtins.isAttrs cfg.settings.defaults or null) {
          defaults = resolveIn "${where}, defaults" cfg.settings.defaults;
        };
    in
    if cfg.settings == null && !inStore then
      null
    else
      pkgs.runCommand "task-pipeline-${name}-manifest"
        (
          {
            nativeBuildInputs = [ package ];
          }
          // (
            if cfg.settings != null then
              {
                manifest = toTOML where document;
                passAsFile = [ "manifest" ];
              }
            else
              {
                inherit parts;
                manifestPath = "${cfg.manifest}";
                # Beside a manifest that was built or that lies in a folder of the store, the lock
                # file can only be looked for by the builder.
                lockPath =
                  if !(builtins.isPath cfg.manifest) then
                    lockOf "${cfg.manifest}"
                  else
                    lib.optionalString (builtins.pathExists lock) "${lock}";
              }
          )
        )
        ''
          mkdir $out
          if [ -n "''${parts-}" ] && grep -q include "$manifestPath"; then
            (cd "$parts" && find . -type f -name '*.toml' -exec cp --parents {} $out/ ';')
            rm -f $out/workflow.toml
            (cd $out && find . -type f) > parts
            cp parts $out/${partsList}
          fi
          cp "$manifestPath" $out/workflow.toml
          if [ -e "''${lockPath-}" ]; then cp "$lockPath" $out/workflow.lock; fi
          if ! task-pipeline check -manifest $out/workflow.toml ${
            lib.escapeShellArgs (workdir cfg ++ params name cfg)
          }; then
            echo "${where}: the manifest has the errors above" >&2
            exit 1
          fi
        '';

  # The run itself. A manifest from the store is put into the state folder first: there its lock
  # file can be written and scripts have a folder of their own to start in.
  runScript =
    package: folder: name: cfg: workDir:
    let
      manifest = if folder == null then toString cfg.manifest else "${workDir}/workflow.toml";
      option =
        name: value:
        lib.optionals (value != null) [
          "-${name}"
          (toString value)
        ];
      arguments = [
        "-manifest"
        manifest
        "-db"
        (toString cfg.db)
        "-grace"
        "${toString cfg.grace}s"
      ]
      ++ workdir cfg
      ++ [ "-run" ]
      ++ lib.optional cfg.fresh "-fresh"
      ++ lib.optional cfg.migrateTainted "-migrate-tainted"
      ++ lib.optional cfg.locked "-locked"
      ++ option "executor" cfg.executor
      ++ lib.optionals (cfg.parallel != null) [
        "-parallel"
        (toString cfg.parallel)
      ]
      ++ option "cpus" cfg.cpus
      ++ option "memory" cfg.memory
      ++ option "gpus" cfg.gpus
      ++ lib.concatLists (
        lib.mapAttrsToList (limit: most: [
          "-limit"
          "${limit}=${toString most}"
        ]) cfg.limits
      )
      ++ params name cfg
      ++ cfg.extraArgs;
    in
    pkgs.writeShellScript "task-pipeline-run" ''
      set -e
      ${
        lib.optionalString (folder != null) ''
          work=${lib.escapeShellArg workDir}
          mkdir -p "$work"
          # Those of an earlier configuration go: a pattern would find them.
          if [ -e "$work/${partsList}" ]; then
            while IFS= read -r file; do rm -f "$work/$file"; done < "$work/${partsList}"
            rm -f "$work/${partsList}"
          fi
          if [ -e ${folder}/${partsList} ]; then
            while IFS= read -r file; do
              install -D -m 0644 "${folder}/$file" "$work/$file"
            done < ${folder}/${partsList}
            install -m 0644 ${folder}/${partsList} "$work/"
          fi
          for file in ${folder}/workflow.*; do
            install -m 0644 "$file" "$work/"
          done
        ''
      }exec ${lib.getExe package} ${lib.escapeShellArgs arguments}
    '';
}
