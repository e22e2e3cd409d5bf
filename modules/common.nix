# What the NixOS and the home-manager module share: a pipeline's manifest, the commands that its units
# run, and what is checked when a configuration is built.
{
  lib,
  pkgs,
}:
let
  # Not `pkgs.formats.toml`: its text says of a string what it means, not what it is; see there.
  toTOML = import ../nix/toml.nix { inherit lib; };
  inherit (import ../nix/packages.nix { inherit lib pkgs; }) resolve;

  unitName = "[a-zA-Z0-9][a-zA-Z0-9_.-]*";
in
rec {
  inherit unitName;

  # How long systemd waits for a run that it stops: for its scripts, and until all is recorded.
  stopTime = pipeline: "${toString (pipeline.grace + 55)}s";

  pipelineOptions = import ./pipeline-options.nix { inherit lib; };

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

  # The arguments of the calls that remove what is not to be kept; null where one is not asked for.
  # `db` and `manifest`: those of the machine, or others to check the rest with.
  gcArguments =
    cfg:
    { db, manifest }:
    let
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
      inDb = [
        "-db"
        db
      ];
    in
    {
      gc = if options == [ ] && cfg.gc.schedule == null then null else inDb ++ [ "gc" ] ++ options;
      evict =
        if cfg.evict.maxSize == null then
          null
        else
          [
            "-manifest"
            manifest
          ]
          ++ inDb
          ++ workdir cfg
          ++ [ "evict" ]
          ++ given "-max-size" cfg.evict.maxSize;
    };

  # The call that removes what is not to be kept; null where nothing of that is asked for.
  gcScript =
    package: folder: cfg: workDir:
    let
      call = words: lib.escapeShellArgs ([ (lib.getExe package) ] ++ words);
      manifest = if folder == null then toString cfg.manifest else "${workDir}/workflow.toml";
      inherit
        (gcArguments cfg {
          db = toString cfg.db;
          inherit manifest;
        })
        gc
        evict
        ;
    in
    if gc == null && evict == null then
      null
    else
      pkgs.writeShellScript "task-pipeline-gc" ''
        set -e
        ${lib.optionalString (gc != null) (call gc)}
        ${lib.optionalString (evict != null) ''
          # What can be made again is known by the manifest of the last run.
          if [ -e ${lib.escapeShellArg manifest} ]; then
            ${call evict}
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
    ]
    ++ map (id: {
      assertion = !(cfg.encryptedCredentials ? ${id});
      message = "${at}: `${id}` is in `credentials` and in `encryptedCredentials`; keep one of them.";
    }) (lib.attrNames cfg.credentials);

  # Settings of a service for its secrets; `service` is without them where it needs none.
  secrets =
    cfg:
    lib.optionalAttrs (cfg.environmentFile != null) {
      EnvironmentFile = [ (toString cfg.environmentFile) ];
    }
    // lib.optionalAttrs (cfg.credentials != { }) {
      LoadCredential = lib.mapAttrsToList (id: file: "${id}:${toString file}") cfg.credentials;
    }
    // lib.optionalAttrs (cfg.encryptedCredentials != { }) {
      LoadCredentialEncrypted = lib.mapAttrsToList (id: file: "${id}:${file}") cfg.encryptedCredentials;
    };

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
          lib.optionalString (lib.importTOML cfg.manifest ? include)
            "${builtins.path {
              name = "task-pipeline-${name}-parts";
              path = dirOf cfg.manifest;
              filter = path: type: type == "directory" || lib.hasSuffix ".toml" path;
            }}";
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
          step = map (s: resolveIn "${where}, step '${s.name or "?"}'" s) cfg.settings.step;
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

  # A file that is there when systemd and the program have taken schedules and arguments.
  # folder: with the manifest that the arguments are for, or null where only the machine has it
  # arguments: of the run, with further ones behind `-run`
  checked =
    package: option: folder: name: cfg: arguments:
    let
      where = "${option}.${name}";
      schedule = what: value: ''
        for expression in ${lib.escapeShellArgs (lib.toList value)}; do
          # The machine that builds may not know the zone.
          without=$(printf '%s\n' "$expression" | sed 's| [A-Za-z_]*/[A-Za-z_/-]*$||')
          if ! said=$(systemd-analyze calendar -- "$without" 2>&1); then
            echo "${where}: \`${what}\`: '$expression' is no calendar expression of systemd (as 03:00, Mon *-*-* 06:30, daily): $said" >&2
            exit 1
          fi
        done
      '';
      schedules = lib.optionalString pkgs.stdenv.hostPlatform.isLinux (
        lib.optionalString (cfg.schedule != null) (schedule "schedule" cfg.schedule)
        + lib.optionalString (cfg.gc.schedule != null) (schedule "gc.schedule" cfg.gc.schedule)
      );
      # Nothing of the machine that builds is to go: there is no such db.
      removing = gcArguments cfg {
        db = "missing/db";
        manifest = "missing/workflow.toml";
      };
      # What such a unit is refused each night nobody sees.
      amounts =
        what: words:
        lib.optionalString (words != null) ''
          said=$(cd "$NIX_BUILD_TOP" && task-pipeline ${lib.escapeShellArgs words} 2>&1) || true
          case $said in
            *"there is no db at"* | *"cannot read the manifest"*) ;;
            *)
              echo "${where}: task-pipeline refuses what \`${what}\` says" >&2
              printf '%s\n' "$said" >&2
              exit 1
              ;;
          esac
        '';
    in
    pkgs.runCommand "task-pipeline-${name}-checked"
      {
        nativeBuildInputs = [ package ] ++ lib.optional (schedules != "") pkgs.systemd;
      }
      ''
        ${schedules}
        ${amounts "gc" removing.gc}
        ${amounts "evict" removing.evict}
        cd "$NIX_BUILD_TOP"
        ${
          if folder == null then
            ''
              # Usage comes before the manifest, which is missing here.
              said=$(task-pipeline -manifest missing/workflow.toml ${
                lib.escapeShellArgs (arguments [ ])
              } 2>&1) || true
              case $said in
                *"cannot read the manifest"*) said= ;;
              esac
            ''
          else
            ''
              if said=$(task-pipeline -manifest ${folder}/workflow.toml ${
                lib.escapeShellArgs (arguments [ "-check-options" ])
              } 2>&1); then
                said=
              fi
            ''
        }
        if [ -n "$said" ]; then
          echo ${
            lib.escapeShellArg (
              "${where}: task-pipeline refuses its arguments"
              + lib.optionalString (
                cfg.extraArgs != [ ]
              ) "; those of `extraArgs` are: ${lib.concatStringsSep " " cfg.extraArgs}"
            )
          } >&2
          printf '%s\n' "$said" >&2
          exit 1
        fi
        touch $out
      '';

  # The run itself. A manifest from the store is put into the state folder first: there its lock
  # file can be written and scripts have a folder of their own to start in.
  runScript =
    package: option: folder: name: cfg: workDir:
    let
      manifest = if folder == null then toString cfg.manifest else "${workDir}/workflow.toml";
      given =
        name: value:
        lib.optionals (value != null) [
          "-${name}"
          (toString value)
        ];
      arguments =
        more:
        [
          "-db"
          (toString cfg.db)
          "-grace"
          "${toString cfg.grace}s"
        ]
        ++ workdir cfg
        ++ [ "-run" ]
        ++ more
        ++ lib.optional cfg.fresh "-fresh"
        ++ lib.optional cfg.migrateTainted "-migrate-tainted"
        ++ lib.optional cfg.locked "-locked"
        ++ given "executor" cfg.executor
        ++ lib.optionals (cfg.parallel != null) [
          "-parallel"
          (toString cfg.parallel)
        ]
        ++ given "cpus" cfg.cpus
        ++ given "memory" cfg.memory
        ++ given "gpus" cfg.gpus
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
      # Checked: ${checked package option folder name cfg arguments}
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
      }exec ${lib.getExe package} ${
        lib.escapeShellArgs (
          [
            "-manifest"
            manifest
          ]
          ++ arguments [ ]
        )
      }
    '';
}
